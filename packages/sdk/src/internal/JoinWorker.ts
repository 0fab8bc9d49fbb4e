/**
 * The worker that joins jobs: started by `JoinWorkers.ts` in a thread of its own.
 *
 * @internal
 */
import { forId } from "@bedrock-batch/processors/Families"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type MessagePort, parentPort } from "node:worker_threads"
import type { BatchError } from "../BatchError.ts"
import type { Listing } from "../store/ObjectStore.ts"
import { decodeError, encodeError, own, piecesAhead, type Reply, type Request } from "./JoinMessages.ts"
import * as JobResult from "./JobResult.ts"
import type { Readable } from "./OutputSlice.ts"
import { spill } from "./Spills.ts"

/** What waits for the main thread's answer to a call. */
interface Waiting {
  readonly listed: (listing: Listing) => void
  readonly pieces: Queue.Queue<Uint8Array, BatchError | Cause.Done> | null
  readonly failed: (exit: Exit.Exit<never, BatchError>) => void
}

const processorOf = (id: string) => {
  const processor = forId(id)
  if (processor === undefined) throw new Error(`there is no processor ${id}`)
  return processor
}

const serve = (port: MessagePort): void => {
  const send = (reply: Reply, transfer: ReadonlyArray<ArrayBuffer> = []) => port.postMessage(reply, transfer)
  const waiting = new Map<number, Waiting>()
  let calls = 0

  /** The store, as far as a join needs it, at the other end of the port. */
  const store: Readable = {
    list: (prefix) =>
      Effect.callback<Listing, BatchError>((resume) => {
        const call = calls++
        waiting.set(call, {
          listed: (listing) => resume(Effect.succeed(listing)),
          pieces: null,
          failed: resume
        })
        send({ type: "list", call, prefix })
        return Effect.sync(() => waiting.delete(call))
      }),
    read: (location, range) =>
      Stream.scoped(Stream.unwrap(Effect.gen(function*() {
        const call = calls++
        const pieces = yield* Queue.unbounded<Uint8Array, BatchError | Cause.Done>()
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            waiting.set(call, {
              listed: () => {},
              pieces,
              failed: (exit) => Exit.isFailure(exit) && Queue.failCauseUnsafe(pieces, exit.cause)
            })
            send({ type: "readStart", call, location, range })
          }),
          () =>
            Effect.sync(() => {
              waiting.delete(call)
              send({ type: "readStop", call })
            })
        )
        return Stream.fromQueue(pieces).pipe(
          Stream.map((piece) => {
            send({ type: "used", call })
            return piece
          })
        )
      })))
  }

  let job: { readonly scope: Scope.Closeable; readonly result: JobResult.JobResult } | null = null
  let part: { readonly run: number; readonly fiber: Fiber.Fiber<void>; readonly credits: Queue.Queue<void> } | null = null

  const openJob = Effect.fnUntraced(function*(request: Extract<Request, { readonly type: "job" }>) {
    const before = job
    job = null
    if (before !== null) yield* Scope.close(before.scope, Exit.void)
    const { job: first, later, manifest, settings, temporary } = request
    const processor = processorOf(request.processor)
    const scope = yield* Scope.make()
    const collecting: JobResult.Collecting = { run: { manifest, processor }, job: first, later, settings }
    const result = yield* Scope.provide(JobResult.make(store, collecting, null, temporary), scope)
    job = { scope, result }
  })

  const makePart = (run: number, index: number, credits: Queue.Queue<void>) =>
    Effect.suspend(() => {
      if (job === null) return Effect.die(new Error("a part of no job was asked for"))
      const { result } = job
      const sendPieces = Stream.runForEachArray(result.part(index), (pieces) =>
        Effect.forEach(pieces, (piece) =>
          Effect.map(Queue.take(credits), () => {
            const owned = own(piece)
            send({ type: "piece", run, piece: owned }, [owned.buffer])
          }), { discard: true }))
      return Effect.gen(function*() {
        yield* sendPieces
        const more = yield* result.more
        send({ type: "partEnd", run, more, tally: yield* result.tally })
      })
    }).pipe(
      Effect.catchCause((cause) =>
        Effect.sync(() => {
          if (!Cause.hasInterruptsOnly(cause)) send({ type: "partFailed", run, failure: encodeError(Cause.squash(cause)) })
        })
      )
    )

  const readSlice = Effect.fnUntraced(function*(request: Extract<Request, { readonly type: "slice" }>) {
    const { manifest, number, slice, spills } = request
    const oddities = yield* spill(store, spills, slice, number, processorOf(request.processor), manifest.answer)
    send({ type: "sliceEnd", oddities })
  }, Effect.catchCause((cause) =>
    Effect.sync(() => send({ type: "sliceFailed", failure: encodeError(Cause.squash(cause)) }))))

  /** Requests that follow each other: a job is opened, and a part given up, before the next is made. */
  let before: Promise<unknown> = Promise.resolve()
  const inTurn = (work: () => Promise<unknown>) => {
    before = before.then(work, work)
  }

  port.on("message", (request: Request) => {
    switch (request.type) {
      case "job":
        return inTurn(() => Effect.runPromise(openJob(request)))
      case "slice":
        return inTurn(() => Effect.runPromise(readSlice(request)))
      case "part":
        return inTurn(async () => {
          const credits = await Effect.runPromise(Queue.unbounded<void>())
          for (let i = 0; i < piecesAhead; i++) Queue.offerUnsafe(credits, undefined)
          part = { run: request.run, credits, fiber: Effect.runFork(makePart(request.run, request.index, credits)) }
        })
      case "taken":
        if (part?.run === request.run) Queue.offerUnsafe(part.credits, undefined)
        return
      case "abandon":
        return inTurn(async () => {
          if (part?.run === request.run) await Effect.runPromise(Fiber.interrupt(part.fiber))
        })
      case "listed":
        return waiting.get(request.call)?.listed(request.listing)
      case "read": {
        const pieces = waiting.get(request.call)?.pieces
        if (pieces != null) Queue.offerUnsafe(pieces, request.piece)
        return
      }
      case "readEnd": {
        const pieces = waiting.get(request.call)?.pieces
        if (pieces != null) Queue.endUnsafe(pieces)
        return
      }
      case "failed": {
        const error = decodeError(request.failure)
        return waiting.get(request.call)?.failed(
          error === null ? Exit.die(new Error(request.failure.defect ?? "unknown")) : Exit.fail(error)
        )
      }
    }
  })
  send({ type: "ready" })
}

if (parentPort !== null) serve(parentPort)
