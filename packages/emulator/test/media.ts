/** The first bytes of files, as base64: enough to tell their formats. */
const base64 = (...bytes: ReadonlyArray<number>) => Buffer.from(bytes).toString("base64")

export const png = base64(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)
export const jpeg = base64(0xff, 0xd8, 0xff, 0xe0, 0, 0x10)
export const gif = Buffer.from("GIF89a").toString("base64")
export const webp = Buffer.from("RIFF\0\0\0\0WEBP").toString("base64")
export const pdf = Buffer.from("%PDF-1.7\n").toString("base64")
export const mp3 = base64(0x49, 0x44, 0x33, 4, 0, 0)
