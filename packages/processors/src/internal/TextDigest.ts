/**
 * A digest that tells texts apart, not one that withstands an attack: FNV-1a of 64 bits over UTF-16 code units.
 *
 * @internal
 */
const prime = 0x100000001b3n
const basis = 0xcbf29ce484222325n

/** Sixteen hexadecimal digits. @internal */
export const textDigest = (text: string): string => {
  let hash = basis
  for (let i = 0; i < text.length; i++) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(text.charCodeAt(i))) * prime)
  }
  return hash.toString(16).padStart(16, "0")
}
