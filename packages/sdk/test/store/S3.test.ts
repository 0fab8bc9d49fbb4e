import { PutObjectCommand, type PutObjectCommandInput, S3Client, type S3ClientConfig } from "@aws-sdk/client-s3"
import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import { Data, Deferred, Effect, Exit, Fiber, Stream } from "effect"
import { createHash } from "node:crypto"
import type { BatchError } from "../../src/BatchError.ts"
import { running } from "../../src/internal/Checksums.ts"
import { ObjectStore } from "../../src/store/ObjectStore.ts"
import * as S3 from "../../src/store/S3.ts"
import { type Fault, type S3Server, startS3Server } from "../rig/S3Server.ts"

const bucket = "test-bucket"
const bytesOf = (text: string) => new TextEncoder().encode(text)
const textOf = (bytes: Uint8Array | null) => (bytes === null ? null : new TextDecoder().decode(bytes))
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

const pattern = (size: number, seed = 1) => {
  const bytes = new Uint8Array(size)
  for (let i = 0, x = seed; i < size; i++) bytes[i] = x = (x * 31 + (i >>> 8)) & 0xff
  return bytes
}

const collect = (stream: Stream.Stream<Uint8Array, BatchError>) =>
  Effect.map(Stream.runCollect(stream), (chunks) => new Uint8Array(Buffer.concat(chunks)))

const reasonOf = <A, E extends { readonly reason: BatchError["reason"] }>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason)

class SourceFailed extends Data.TaggedError("SourceFailed") {}

let server: S3Server
let client: S3Client
let store: ObjectStore["Service"]
beforeAll(async () => {
  server = await startS3Server()
  client = server.client()
  store = await Effect.runPromise(S3.make({ bucket, client }))
})
afterEach(() => {
  server.faults.length = 0
})
afterAll(async () => {
  client.destroy()
  await server.close()
})

const fault = (method: string, url: RegExp, what: Omit<Fault, "match">) => {
  server.faults.push({ match: (request) => request.method === method && url.test(request.url), ...what })
}
/** The requests that `effect` makes, as `METHOD url`. */
const requests = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const from = server.log.length
    return Effect.map(effect, (value) => ({
      value,
      log: server.log.slice(from).map(({ method, url }) => `${method} ${url}`)
    }))
  })
/** Uploads that were begun, and how many of them were aborted. */
const uploads = (log: ReadonlyArray<string>) => ({
  begun: log.filter((line) => /^POST .*[?&]uploads/.test(line)).length,
  completed: log.filter((line) => /^POST .*uploadId=/.test(line)).length,
  aborted: log.filter((line) => /^DELETE .*uploadId=/.test(line)).length
})

describe("a conditional write whose answer is lost", () => {
  it.live("is known as its own when the SDK sends it again", () =>
    Effect.gen(function*() {
      fault("PUT", /\/lost\/a/, { dropAfter: true, times: 1 })
      const { log, value } = yield* requests(store.create("lost/a", bytesOf("mine")))
      assert.deepStrictEqual(value, { created: true })
      assert.deepStrictEqual(log.map((line) => line.split(" ")[0]), ["PUT", "PUT", "HEAD"])
    }))

  it.live("is known as its own when every answer is lost", () =>
    Effect.gen(function*() {
      fault("PUT", /\/lost\/b/, { dropAfter: true })
      assert.deepStrictEqual(yield* store.create("lost/b", bytesOf("mine")), { created: true })
    }))

  it.live("is known as another's", () =>
    Effect.gen(function*() {
      yield* store.create("lost/c", bytesOf("theirs"))
      fault("PUT", /\/lost\/c/, { reset: true, times: 1 })
      assert.deepStrictEqual(yield* store.create("lost/c", bytesOf("mine")), { created: false })
      assert.strictEqual(textOf(yield* store.get("lost/c")), "theirs")
      // Another tool's object carries no writer's id.
      yield* Effect.promise(() => client.send(new PutObjectCommand({ Bucket: bucket, Key: "lost/d", Body: "theirs" })))
      assert.deepStrictEqual(yield* store.create("lost/d", bytesOf("mine")), { created: false })
    }))

  it.live("is known as its own after CompleteMultipartUpload and for a stream of one part", () =>
    Effect.gen(function*() {
      for (const size of [100, 20_000_000]) {
        const bytes = pattern(size)
        fault(size === 100 ? "PUT" : "POST", size === 100 ? /lost-stream/ : /uploadId=/, { dropAfter: true, times: 1 })
        const written = yield* store.write(`lost-stream/${size}`, Stream.make(bytes))
        assert.isTrue(written.created)
        assert.strictEqual(written.sha256, sha256(bytes))
        assert.strictEqual(sha256(yield* collect(store.read(`lost-stream/${size}`))), sha256(bytes))
        server.faults.length = 0
      }
    }))
})

describe("a conditional write that meets another one", () => {
  it.live("is sent again after ConditionalRequestConflict", () =>
    Effect.gen(function*() {
      fault("PUT", /\/conflict\/a/, { status: 409, code: "ConditionalRequestConflict", times: 2 })
      assert.deepStrictEqual(yield* store.create("conflict/a", bytesOf("x")), { created: true })
    }))

  it.live("gives up after some conflicts, and says that it may work later", () =>
    Effect.gen(function*() {
      fault("PUT", /\/conflict\/b/, { status: 409, code: "ConditionalRequestConflict" })
      const reason = yield* reasonOf(store.create("conflict/b", bytesOf("secret content")))
      assert.strictEqual(reason._tag === "Unavailable" && reason.code, "conflict")
      assert.notInclude(reason.message, "secret")
    }))

  for (const [status, code] of [[409, "ConditionalRequestConflict"], [404, "NoSuchUpload"]] as const) {
    it.live(`runs the stream again when CompleteMultipartUpload answers ${code}`, () =>
      Effect.gen(function*() {
        let runs = 0
        const bytes = pattern(17_000_000)
        fault("POST", /uploadId=/, { status, code, times: 1 })
        const { log, value } = yield* requests(
          store.write(`again/${code}`, Stream.suspend(() => (runs++, Stream.make(bytes))))
        )
        assert.isTrue(value.created)
        assert.strictEqual(runs, 2)
        assert.strictEqual(value.sha256, sha256(bytes))
        assert.deepStrictEqual(uploads(log), { begun: 2, completed: 2, aborted: 1 })
      }))
  }

  it.live("uploads nothing where an object is already", () =>
    Effect.gen(function*() {
      yield* store.create("there/a", bytesOf("first"))
      const { log, value } = yield* requests(store.write("there/a", Stream.make(pattern(20_000_000))))
      assert.deepStrictEqual(log, ["HEAD /test-bucket/there/a"])
      assert.strictEqual(value.sha256, sha256(pattern(20_000_000)))
    }))

  it.live("loses against an object that came while it uploaded, and aborts", () =>
    Effect.gen(function*() {
      const bytes = pattern(20_000_000)
      const late = Stream.make(bytes).pipe(
        Stream.concat(Stream.fromEffectDrain(store.create("late/a", bytesOf("faster"))))
      )
      const { log, value } = yield* requests(store.write("late/a", late))
      assert.isFalse(value.created)
      assert.strictEqual(value.info.size, 6)
      assert.strictEqual(value.sha256, sha256(bytes))
      assert.deepStrictEqual(uploads(log), { begun: 1, completed: 1, aborted: 1 })
    }))
})

describe("an upload", () => {
  it.live("survives parts that are refused or cut", () =>
    Effect.gen(function*() {
      fault("PUT", /partNumber=2/, { status: 503, code: "InternalError", times: 1 })
      fault("PUT", /partNumber=3/, { reset: true, times: 1 })
      const bytes = pattern(30_000_000)
      assert.isTrue((yield* store.write("parts/a", Stream.make(bytes))).created)
      assert.strictEqual(sha256(yield* collect(store.read("parts/a"))), sha256(bytes))
    }))

  it.live("fails soon, with S3's reason, while the stream is still waiting", () =>
    Effect.gen(function*() {
      fault("PUT", /partNumber=/, { status: 403, code: "AccessDenied" })
      const bytes = Stream.make(pattern(20_000_000)).pipe(Stream.concat(Stream.never))
      const { log, value } = yield* requests(reasonOf(store.write("refused/a", bytes)))
      assert.strictEqual(value._tag === "Refused" && value.code, "AccessDenied")
      assert.deepStrictEqual(uploads(log), { begun: 1, completed: 0, aborted: 1 })
    }))

  it.live("is aborted when its stream fails, and when it is interrupted", () =>
    Effect.gen(function*() {
      const failing = Stream.make(pattern(20_000_000)).pipe(Stream.concat(Stream.fail(new SourceFailed())))
      const failed = yield* requests(Effect.flip(store.write("aborted/a", failing)))
      assert.instanceOf(failed.value, SourceFailed)
      assert.deepStrictEqual(uploads(failed.log), { begun: 1, completed: 0, aborted: 1 })

      const interrupted = yield* requests(Effect.gen(function*() {
        const reached = yield* Deferred.make<void>()
        const endless = Stream.make(pattern(20_000_000)).pipe(
          Stream.concat(Stream.fromEffectDrain(Deferred.succeed(reached, undefined))),
          Stream.concat(Stream.never)
        )
        const fiber = yield* Effect.forkChild(store.write("aborted/b", endless))
        yield* Deferred.await(reached)
        yield* Fiber.interrupt(fiber)
      }))
      assert.deepStrictEqual(uploads(interrupted.log), { begun: 1, completed: 0, aborted: 1 })
    }))

  it.live("takes no more of the stream than it has parts under way", () =>
    Effect.gen(function*() {
      fault("PUT", /partNumber=/, { delayMs: 1_500 })
      const piece = new Uint8Array(1024 * 1024)
      let taken = 0
      const bytes = Stream.range(1, 200).pipe(Stream.rechunk(1), Stream.map(() => (taken++, piece)))
      const fiber = yield* Effect.forkChild(store.write("pressure/a", bytes))
      yield* Effect.sleep("1 second")
      assert.isAbove(taken, 8)
      assert.isBelow(taken, 40)
      yield* Fiber.interrupt(fiber)
      assert.isNull(yield* store.head("pressure/a"))
    }), 20_000)

  it.live("can be interrupted while S3 does not answer", () =>
    Effect.gen(function*() {
      fault("PUT", /partNumber=/, { delayMs: 20_000 })
      const fiber = yield* Effect.forkChild(store.write("silent/a", Stream.make(pattern(20_000_000))))
      yield* Effect.sleep("500 millis")
      const from = performance.now()
      yield* Fiber.interrupt(fiber)
      assert.isBelow(performance.now() - from, 3_000)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
    }), 20_000)
})

describe("a read", () => {
  const size = 3_000_000
  const bytes = pattern(size)
  const plant = (key: string, content = bytes) =>
    Effect.promise(() => client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: content })))

  it.live("goes on where it was after each cut", () =>
    Effect.gen(function*() {
      yield* plant("cut/a")
      for (const range of [undefined, { start: 1 }, { start: 1_000, end: 2_900_000 }]) {
        for (const truncate of [1_200_000, 700_001, 1]) fault("GET", /\/cut\/a/, { truncate, times: 1 })
        const { log, value } = yield* requests(collect(store.read("cut/a", range)))
        assert.strictEqual(sha256(value), sha256(bytes.subarray(range?.start, range?.end)))
        assert.isAtLeast(log.length, 4)
      }
    }))

  it.live("goes on after any number of cuts, as long as each answer brings something", () =>
    Effect.gen(function*() {
      yield* plant("cut/often")
      fault("GET", /\/cut\/often/, { truncate: 200_000, times: 12 })
      assert.strictEqual(sha256(yield* collect(store.read("cut/often"))), sha256(bytes))
    }), 20_000)

  it.live("goes on after resets and server errors", () =>
    Effect.gen(function*() {
      yield* plant("cut/b")
      fault("GET", /\/cut\/b/, { truncate: 500_000, times: 1 })
      fault("GET", /\/cut\/b/, { reset: true, times: 4 })
      fault("GET", /\/cut\/b/, { status: 500, code: "InternalError", times: 2 })
      assert.strictEqual(sha256(yield* collect(store.read("cut/b"))), sha256(bytes))
    }), 20_000)

  it.live("says that it may work later when nothing comes any more", () =>
    Effect.gen(function*() {
      yield* plant("cut/c")
      fault("GET", /\/cut\/c/, { truncate: 500_000, times: 1 })
      fault("GET", /\/cut\/c/, { truncate: 0 })
      const reason = yield* reasonOf(collect(store.read("cut/c")))
      assert.strictEqual(reason._tag === "Unavailable" && reason.code, "network")
      assert.match(reason.message, /s3:\/\/test-bucket\/cut\/c from byte \d+ on/)
    }), 30_000)

  it.live("fails as damaged when the object was replaced, or removed, before it could go on", () =>
    Effect.gen(function*() {
      for (const change of ["replace", "remove"] as const) {
        const key = `changed/${change}`
        yield* plant(key)
        let cuts = 0
        fault("GET", new RegExp(key), {
          truncate: 500_000,
          times: 2,
          act: async () => {
            if (++cuts < 2) return
            const other = Effect.asVoid(plant(key, pattern(size, 7)))
            await Effect.runPromise(change === "remove" ? store.remove(key) : other)
          }
        })
        const reason = yield* reasonOf(collect(store.read(key)))
        assert.strictEqual(reason._tag === "Damaged" && reason.key, `s3://test-bucket/${key}`)
      }
    }))

  it.live("fails as damaged when the bytes are not those of the checksum", () =>
    Effect.gen(function*() {
      yield* plant("corrupt/a")
      fault("GET", /\/corrupt\/a/, { corrupt: true })
      assert.strictEqual((yield* reasonOf(collect(store.read("corrupt/a"))))._tag, "Damaged")
      assert.strictEqual((yield* reasonOf(store.get("corrupt/a")))._tag, "Damaged")
    }))

  it.live("closes its connection when the reader leaves", () =>
    Effect.gen(function*() {
      yield* plant("left/a")
      for (let i = 0; i < 120; i++) yield* Stream.runDrain(Stream.take(store.read("left/a"), 1))
      assert.strictEqual((yield* collect(store.read("left/a"))).length, size)
    }), 20_000)

  it.live("reaches other buckets by URI, and keys that the store would not write", () =>
    Effect.gen(function*() {
      const others = yield* Effect.promise(() => startS3Server({ buckets: ["one-bucket", "other-bucket"] }))
      const both = others.client()
      const one = yield* S3.make({ bucket: "one-bucket", prefix: "x", client: both })
      yield* Effect.promise(() =>
        both.send(new PutObjectCommand({ Bucket: "other-bucket", Key: "dt=2026-01-01//my file.csv", Body: "a,b" }))
      )
      const uri = "s3://other-bucket/dt=2026-01-01//my file.csv"
      assert.strictEqual(textOf(yield* one.get(uri)), "a,b")
      assert.strictEqual((yield* one.head(uri))?.key, uri)
      assert.strictEqual(textOf(yield* collect(one.read(uri, { start: 2 }))), "b")
      for (const bad of ["s3://", "s3://other-bucket", "s3://other-bucket/", "s3:///key"]) {
        assert.strictEqual((yield* reasonOf(one.get(bad)))._tag, "InvalidOption")
      }
      both.destroy()
      yield* Effect.promise(() => others.close())
    }))
})

describe("a list", () => {
  it.effect("is dated by S3, not by this machine's clock", () =>
    Effect.gen(function*() {
      // The test's clock stands at 1970.
      const { at } = yield* store.list("nothing/")
      assert.isBelow(Math.abs(at - performance.timeOrigin - performance.now()), 30_000)
      assert.strictEqual(at % 1000, 0)
    }))

  it.live("survives a page that fails", () =>
    Effect.gen(function*() {
      fault("GET", /list-type=2/, { status: 503, times: 1 })
      assert.deepStrictEqual((yield* store.list("nothing/")).objects, [])
    }))
})

describe("a bulk removal", () => {
  const failing = (key: string, code: string) => (body: string) =>
    body.replace("</DeleteResult>", `<Error><Key>${key}</Key><Code>${code}</Code></Error></DeleteResult>`)
  const present = () => Effect.map(store.list("bulk/"), ({ objects }) => objects.map(({ key }) => key))

  it.live("takes 1,000 objects a call", () =>
    Effect.gen(function*() {
      const keys = Array.from({ length: 2_001 }, (_, i) => `bulk/${i}`)
      const { log } = yield* requests(store.removeAll(keys))
      assert.deepStrictEqual(log.map((line) => line.split("&")[0]), Array(3).fill("POST /test-bucket/?delete="))
      assert.deepStrictEqual((yield* requests(store.removeAll([]))).log, [])
    }))

  it.live("asks again for what S3 could not remove just now, and for that alone", () =>
    Effect.gen(function*() {
      for (const key of ["bulk/a", "bulk/b"]) yield* store.create(key, bytesOf("x"))
      fault("POST", /[?]delete/, { status: 503, times: 1 })
      fault("POST", /[?]delete/, { rewrite: failing("bulk/b", "InternalError"), times: 1 })
      fault("POST", /[?]delete/, { rewrite: failing("bulk/b", "SlowDown"), times: 1 })
      const from = server.log.length
      yield* store.removeAll(["bulk/a", "bulk/b"])
      const sizes = server.log.slice(from).map(({ bytes }) => bytes)
      assert.strictEqual(sizes.length, 4)
      assert.deepStrictEqual([sizes[1], sizes[3]], [sizes[0], sizes[2]])
      assert.isBelow(sizes[2]!, sizes[1]!)
      assert.deepStrictEqual(yield* present(), [])
    }))

  it.live("names the object that may not be removed", () =>
    Effect.gen(function*() {
      fault("POST", /[?]delete/, { rewrite: failing("bulk/b", "AccessDenied") })
      const reason = yield* reasonOf(store.removeAll(["bulk/a", "bulk/b"]))
      assert.strictEqual(reason._tag === "Refused" && reason.code, "AccessDenied")
      assert.include(reason.message, "cannot remove s3://test-bucket/bulk/b:")
      server.faults.length = 0
      fault("POST", /[?]delete/, { rewrite: failing("bulk/b", "InternalError") })
      const later = yield* reasonOf(store.removeAll(["bulk/a", "bulk/b"]))
      assert.strictEqual(later._tag === "Unavailable" && later.code, "server")
      assert.include(later.message, "s3://test-bucket/bulk/b")
    }), 20_000)

  it.live("takes the objects with empty segments that other tools leave", () =>
    Effect.gen(function*() {
      for (const Key of ["bulk/", "bulk/a//b", "bulk/a/"]) {
        yield* Effect.promise(() => client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: new Uint8Array() })))
      }
      const keys = yield* present()
      assert.deepStrictEqual(keys, ["bulk/", "bulk/a/", "bulk/a//b"])
      assert.deepStrictEqual(yield* store.folders("bulk/"), ["a"])
      assert.deepStrictEqual(yield* store.folders("bulk/a/"), [])
      yield* store.removeAll(keys)
      assert.deepStrictEqual(yield* present(), [])
    }))
})

describe("a checksum", () => {
  it.live("is the one that the writer gave, else the MD5 that is the ETag", () =>
    Effect.gen(function*() {
      const bytes = pattern(5_000)
      const put = (key: string, how: Partial<PutObjectCommandInput>) =>
        Effect.promise(() => plain.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: bytes, ...how })))
      const plain = new S3Client({
        region: server.region,
        endpoint: server.endpoint,
        credentials: server.credentials,
        forcePathStyle: true,
        requestChecksumCalculation: "WHEN_REQUIRED"
      })
      const digests = { sha256: "SHA256", sha1: "SHA1", crc32: "CRC32", md5: undefined } as const
      for (const [algorithm, ChecksumAlgorithm] of Object.entries(digests)) {
        yield* put(`summed/${algorithm}`, ChecksumAlgorithm === undefined ? {} : { ChecksumAlgorithm })
        const checksum = yield* store.checksum(`summed/${algorithm}`)
        assert.strictEqual(checksum?.algorithm, algorithm)
        if (checksum === null) continue
        const sum = running(checksum.algorithm)
        sum.update(bytes)
        assert.strictEqual(checksum.value, sum.digest())
      }
      plain.destroy()
    }))

  it.live("fails as other calls do", () =>
    Effect.gen(function*() {
      fault("HEAD", /denied/, { status: 403, code: "AccessDenied" })
      const reason = yield* reasonOf(store.checksum("denied"))
      assert.strictEqual(reason._tag === "Refused" && reason.code, "AccessDenied")
    }))
})

describe("errors", () => {
  const here = () => ({
    region: server.region,
    endpoint: server.endpoint,
    credentials: server.credentials,
    maxAttempts: 1,
    forcePathStyle: true
  })
  const withClient = <A>(config: S3ClientConfig, use: (client: S3Client) => Effect.Effect<A>) =>
    Effect.acquireUseRelease(Effect.sync(() => new S3Client(config)), use, (made) => Effect.sync(() => made.destroy()))

  it.live("say what S3 answered, where, and what to do", () =>
    withClient({ ...here(), credentials: { ...server.credentials, secretAccessKey: "no" } }, (other) =>
      Effect.gen(function*() {
        const wrong = yield* S3.make({ bucket, client: other })
        const created = yield* Effect.flip(wrong.create("a", bytesOf("secret content")))
        assert.strictEqual(created.module, "S3")
        assert.strictEqual(created.method, "create")
        assert.isFalse(created.isRetryable)
        assert.strictEqual(created.reason._tag === "Refused" && created.reason.code, "SignatureDoesNotMatch")
        assert.match(created.message, /^S3.create: cannot write s3:\/\/test-bucket\/a: .*check the credentials/)
        assert.notInclude(created.message, "secret content")
        const looked = yield* reasonOf(wrong.head("a"))
        assert.strictEqual(looked._tag === "Refused" && looked.code, "AccessDenied")
        assert.strictEqual((yield* reasonOf(wrong.list("")))._tag, "Refused")
        assert.strictEqual((yield* reasonOf(wrong.remove("a")))._tag, "Refused")
        assert.strictEqual((yield* reasonOf(wrong.removeAll(["a"])))._tag, "Refused")
        assert.strictEqual((yield* reasonOf(wrong.folders("a/")))._tag, "Refused")
        assert.strictEqual((yield* reasonOf(wrong.checksum("a")))._tag, "Refused")
        assert.strictEqual((yield* reasonOf(wrong.get("a")))._tag, "Refused")
        assert.strictEqual((yield* reasonOf(wrong.write("a", Stream.make(bytesOf("x")))))._tag, "Refused")
      }).pipe(Effect.orDie)))

  it.live("name a bucket that is not there", () =>
    Effect.gen(function*() {
      const nowhere = yield* S3.make({ bucket: "no-such-bucket", client })
      for (const call of [nowhere.create("a", bytesOf("x")), nowhere.list(""), nowhere.get("a")]) {
        const reason = yield* reasonOf<unknown, BatchError>(call)
        assert.strictEqual(reason._tag === "Refused" && reason.code, "NoSuchBucket")
      }
    }))

  it.live("tell throttling, server errors and a dead endpoint apart, all worth another try", () =>
    withClient(here(), (once) =>
      Effect.gen(function*() {
        const impatient = yield* S3.make({ bucket, client: once })
        fault("GET", /list-type=2/, { status: 503, code: "SlowDown", times: 1 })
        fault("GET", /list-type=2/, { status: 500, code: "InternalError", times: 1 })
        fault("GET", /list-type=2/, { reset: true, times: 1 })
        const codes = []
        for (let i = 0; i < 3; i++) {
          const reason = yield* reasonOf(impatient.list("a"))
          codes.push(reason._tag === "Unavailable" && reason.code)
        }
        assert.deepStrictEqual(codes, ["throttled", "server", "network"])
      }).pipe(Effect.orDie)).pipe(
        Effect.andThen(withClient({ ...here(), endpoint: "http://127.0.0.1:9" }, (dead) =>
          Effect.gen(function*() {
            const store = yield* S3.make({ bucket, client: dead })
            for (const call of [store.head("a"), store.create("a", bytesOf("x")), store.list("")]) {
              const reason = yield* reasonOf<unknown, BatchError>(call)
              assert.strictEqual(reason._tag === "Unavailable" && reason.code, "network")
            }
          }).pipe(Effect.orDie)))
      ))

  it.live("say that there are no credentials", () =>
    withClient({
      ...here(),
      credentials: () => Promise.reject(Object.assign(new Error("none"), { name: "CredentialsProviderError" }))
    }, (none) =>
      Effect.gen(function*() {
        const store = yield* S3.make({ bucket, client: none })
        const reason = yield* reasonOf(store.head("a"))
        assert.strictEqual(reason._tag === "Refused" && reason.code, "CredentialsProviderError")
        assert.include(reason.message, "no AWS credentials were found")
      }).pipe(Effect.orDie)))
})

describe("the layer", () => {
  it.live("makes a client for an endpoint", () =>
    Effect.gen(function*() {
      const made = yield* ObjectStore
      assert.strictEqual(made.base, "s3://test-bucket/some/place")
      assert.isTrue((yield* made.create("a", bytesOf("x"))).created)
    }).pipe(Effect.provide(S3.layer({
      bucket,
      prefix: "some/place/",
      region: server.region,
      endpoint: server.endpoint.replace("127.0.0.1", "localhost"),
      credentials: server.credentials
    }))))

  it.live("leaves a client that it was given open", () =>
    Effect.gen(function*() {
      const head = ObjectStore.use((made) => made.head("a"))
      yield* head.pipe(Effect.provide(S3.layer({ bucket, client })))
      yield* head.pipe(Effect.provide(S3.layer({ bucket, client })))
    }))

  it.live("refuses what Bedrock would not take, at once", () =>
    Effect.gen(function*() {
      const hostile = ["-".repeat(50_000) + "=", "a/".repeat(25_000) + "=", "a".repeat(50_000) + "="]
      const buckets = ["", "ab", "Upper", "under_score", "-a-", "a".repeat(64), "a b", "bucket/prefix", ...hostile]
      for (const name of buckets) {
        const reason = yield* reasonOf(Effect.provide(ObjectStore, S3.layer({ bucket: name, client })))
        assert.strictEqual(reason._tag === "InvalidOption" && reason.path, "bucket", name)
      }
      const prefixes = ["/a", "a//b", "dt=2026", "a b", "a+b", "ü", "a/../b", "a:b", ...hostile]
      const from = performance.now()
      for (const prefix of prefixes) {
        const reason = yield* reasonOf(Effect.provide(ObjectStore, S3.layer({ bucket, prefix, client })))
        assert.strictEqual(reason._tag === "InvalidOption" && reason.path, "prefix", prefix)
      }
      assert.isBelow(performance.now() - from, 1_000)
      const reason = yield* reasonOf(Effect.provide(ObjectStore, S3.layer({ bucket, endpoint: "localhost:9000 " })))
      assert.strictEqual(reason._tag === "InvalidOption" && reason.path, "endpoint")
    }))
})
