import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Result, Schema } from "effect"
import * as Limits from "../src/Limits.ts"
import { type Bounds, type Impossible, Planner } from "../src/Planner.ts"

interface PlannedFile {
  records: number
  bytes: number
}

interface PlannedJob {
  readonly files: Array<PlannedFile>
  records: number
  bytes: number
}

interface Planned {
  readonly jobs: ReadonlyArray<PlannedJob>
  /** Records that the plan took. */
  readonly taken: number
  readonly mostPending: number
}

const bounded = (bounds: Partial<Bounds>): Bounds => ({
  ...Limits.defaults,
  maxRecordsPerJob: 50_000,
  maxJobs: null,
  maxRecordsTotal: null,
  ...bounds
})

/** Plans records of these sizes, and asserts what must hold of every step. */
const plan = (
  bounds: Bounds,
  sizes: ReadonlyArray<number>,
  count: number | null,
  everyStep = (taken: number) => taken % 3 === 0
): Result.Result<Planned, Impossible> => {
  const made = Planner.make(bounds, count)
  if (Result.isFailure(made)) return Result.fail(made.failure)
  const planner = made.success
  const jobs: Array<PlannedJob> = []
  let taken = 0
  let given = 0
  let closed = 0
  let mostPending = 0
  const follow = () => {
    for (const step of planner.takeSteps()) {
      if (step.job !== closed) assert.fail("jobs follow one another, and none is written to after it was closed")
      jobs[step.job] ??= { files: [], records: 0, bytes: 0 }
      const job = jobs[step.job]!
      if (step.records > 0) {
        if (step.file < job.files.length - 1 || step.file > job.files.length) assert.fail("files follow one another")
        const file = job.files[step.file] ??= { records: 0, bytes: 0 }
        for (let i = 0; i < step.records; i++) {
          const size = sizes[given++]!
          file.records++
          file.bytes += size
          job.records++
          job.bytes += size
        }
      }
      if (step.closes) closed++
    }
    if (given + planner.pending !== taken) assert.fail("a record is pending until it is given to a job")
  }
  for (const size of sizes) {
    const added = planner.add(size)
    if (Result.isFailure(added)) return Result.fail(added.failure)
    if (!added.success) break
    taken++
    mostPending = Math.max(mostPending, planner.pending)
    if (everyStep(taken)) follow()
  }
  const ended = planner.end()
  if (Result.isFailure(ended)) return Result.fail(ended.failure)
  follow()
  assert.strictEqual(given, taken, "every record that was taken is in a job")
  assert.strictEqual(closed, jobs.length, "every job is closed")
  return Result.succeed({ jobs, taken, mostPending })
}

const check = (bounds: Bounds, { jobs, mostPending, taken }: Planned): void => {
  assert.isAtMost(mostPending, 2 * Math.max(1, bounds.minRecords))
  if (bounds.maxJobs !== null) assert.isAtMost(jobs.length, bounds.maxJobs)
  if (bounds.maxRecordsTotal !== null) assert.isAtMost(taken, bounds.maxRecordsTotal)
  for (const { bytes, files, records } of jobs) {
    const fewest = Math.max(1, bounds.minRecords)
    if (records < fewest || records > bounds.maxRecords || bytes > bounds.maxJobBytes) {
      assert.fail(`a job of ${records} records and ${bytes} bytes, against ${JSON.stringify(bounds)}`)
    }
    for (const file of files) {
      if (file.records < 1 || file.records > bounds.maxFileRecords || file.bytes > bounds.maxFileBytes) {
        assert.fail(`a file of ${file.records} records and ${file.bytes} bytes, against ${JSON.stringify(bounds)}`)
      }
    }
  }
}

const success = (result: Result.Result<Planned, Impossible>): Planned => {
  assert.isTrue(Result.isSuccess(result), Result.isFailure(result) ? result.failure.message : "")
  return Result.getOrThrow(result)
}

const failure = (result: Result.Result<unknown, Impossible>): Impossible => {
  assert.isTrue(Result.isFailure(result))
  return Result.getOrThrow(Result.flip(result))
}

const sizesOf = (result: Result.Result<Planned, Impossible>) => success(result).jobs.map((job) => job.records)
const ones = (count: number) => new Array<number>(count).fill(1)

const between = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

describe("Planner", () => {
  const anyBounds = Arbitrary.all({
    minRecords: between(0, 6),
    spare: between(0, 14),
    wished: between(1, 25),
    maxFileRecords: between(1, 25),
    maxFileBytes: between(8, 60),
    moreBytes: between(0, 80),
    maxJobs: between(0, 4),
    maxRecordsTotal: between(0, 60)
  }).pipe(Arbitrary.map((given): Bounds => ({
    minRecords: given.minRecords,
    maxRecords: given.minRecords + given.spare,
    maxFileRecords: given.maxFileRecords,
    maxFileBytes: given.maxFileBytes,
    maxJobBytes: given.maxFileBytes + given.moreBytes,
    maxOpenJobs: 1,
    maxRecordsPerJob: given.wished,
    maxJobs: given.maxJobs === 0 ? null : given.maxJobs,
    maxRecordsTotal: given.maxRecordsTotal === 0 ? null : given.maxRecordsTotal
  })))

  it.prop(
    "keeps every quota, whatever the sizes, and puts every record into one job, in order",
    { bounds: anyBounds, sizes: Arbitrary.array(between(1, 9), { maxLength: 80 }), known: Schema.Boolean },
    ({ bounds, known, sizes }) => {
      const planned = plan(bounds, sizes, known ? sizes.length : null)
      if (Result.isSuccess(planned)) check(bounds, planned.success)
    },
    { arbitrary: { runs: 4000, size: 80 }, timeout: 60_000 }
  )

  it.prop(
    "decides the same, however often its steps are asked for",
    { bounds: anyBounds, sizes: Arbitrary.array(between(1, 9), { maxLength: 60 }), known: Schema.Boolean },
    ({ bounds, known, sizes }) => {
      const count = known ? sizes.length : null
      const often = plan(bounds, sizes, count, () => true)
      const once = plan(bounds, sizes, count, () => false)
      assert.deepStrictEqual(
        Result.isSuccess(often) ? often.success.jobs : often.failure,
        Result.isSuccess(once) ? once.success.jobs : once.failure
      )
    },
    { arbitrary: { runs: 1000, size: 60 }, timeout: 60_000 }
  )

  it("finds a plan for a known number of records exactly when there is one", () => {
    for (let minRecords = 0; minRecords <= 5; minRecords++) {
      for (let maxRecords = Math.max(1, minRecords); maxRecords <= 12; maxRecords++) {
        for (const maxRecordsPerJob of [1, 3, 4, 7, 12, 50]) {
          for (let count = 0; count <= 40; count++) {
            let possible = false
            for (let jobs = 1; jobs <= count; jobs++) {
              if (jobs * minRecords <= count && count <= jobs * maxRecords) possible = true
            }
            const bounds = bounded({ minRecords, maxRecords, maxRecordsPerJob })
            const planned = plan(bounds, ones(count), count)
            const what = `${count} records, ${minRecords} to ${maxRecords} a job, wished ${maxRecordsPerJob}`
            if (Result.isSuccess(planned) !== possible) assert.fail(`${possible ? "no" : "a"} plan: ${what}`)
            if (!Result.isSuccess(planned)) continue
            check(bounds, planned.success)
            const sizes = planned.success.jobs.map((job) => job.records)
            const even = Math.max(...sizes) - Math.min(...sizes) <= 1
            if (!even || planned.success.taken !== count) assert.fail(`jobs of ${sizes.join()}: ${what}`)
            const soft = Math.max(minRecords, 1, Math.min(maxRecordsPerJob, maxRecords))
            const wished = Math.ceil(count / soft)
            if (Math.floor(count / wished) >= minRecords && sizes.length !== wished) assert.fail(what)
          }
        }
      }
    }
  })

  it("finds a plan for an unknown number of records whenever a job may have twice the minimum less one", () => {
    for (let minRecords = 0; minRecords <= 5; minRecords++) {
      for (let maxRecords = Math.max(1, 2 * minRecords - 1); maxRecords <= 13; maxRecords++) {
        for (const maxRecordsPerJob of [1, 3, 4, 7, 12, 50]) {
          for (let count = Math.max(1, minRecords); count <= 45; count++) {
            const bounds = bounded({ minRecords, maxRecords, maxRecordsPerJob })
            const planned = Result.getOrThrow(plan(bounds, ones(count), null))
            check(bounds, planned)
            const soft = Math.max(minRecords, 1, Math.min(maxRecordsPerJob, maxRecords))
            const sizes = planned.jobs.map((job) => job.records)
            const what = `jobs of ${sizes.join()}, of ${minRecords} to ${maxRecords}, wished ${maxRecordsPerJob}`
            if (planned.taken !== count) assert.fail(what)
            if (sizes.slice(0, -2).some((size) => size !== soft)) assert.fail(`not as wished: ${what}`)
            if (sizes.slice(-2, -1).some((size) => size > soft)) assert.fail(`above the wish: ${what}`)
            if (sizes.at(-1)! >= soft + Math.max(1, minRecords)) assert.fail(`the last takes more than a rest: ${what}`)
          }
        }
      }
    }
  })

  it("joins a rest under the minimum to the job before it, up to the quota", () => {
    const bounds = bounded({ minRecords: 100, maxRecordsPerJob: 1000 })
    assert.deepStrictEqual(sizesOf(plan(bounds, ones(2001), null)), [1000, 1001])
    assert.deepStrictEqual(sizesOf(plan(bounds, ones(2099), null)), [1000, 1099])
    assert.deepStrictEqual(sizesOf(plan(bounds, ones(2100), null)), [1000, 1000, 100])
  })

  it("borrows from the job before where the rest does not fit into it", () => {
    const bounds = bounded({ minRecords: 100, maxRecords: 1000, maxRecordsPerJob: 1000 })
    assert.deepStrictEqual(sizesOf(plan(bounds, ones(2001), null)), [1000, 901, 100])
    assert.deepStrictEqual(sizesOf(plan(bounds, ones(1000), null)), [1000])
  })

  it("splits a known number evenly", () => {
    assert.deepStrictEqual(sizesOf(plan(bounded({}), ones(120_000), 120_000)), [40_000, 40_000, 40_000])
    const bounds = bounded({ minRecords: 100, maxRecordsPerJob: 1000 })
    assert.deepStrictEqual(sizesOf(plan(bounds, ones(2001), 2001)), [667, 667, 667])
    const tight = bounded({ minRecords: 100, maxRecordsPerJob: 100 })
    assert.deepStrictEqual(sizesOf(plan(tight, ones(250), 250)), [125, 125])
  })

  it("cuts a job where its bytes are full, and its files likewise", () => {
    const bounds = bounded({ minRecords: 2, maxFileBytes: 100, maxJobBytes: 250 })
    const { jobs } = success(plan(bounds, new Array<number>(12).fill(40), null))
    const file = { records: 2, bytes: 80 }
    const job = { records: 6, bytes: 240, files: [file, file, file] }
    assert.deepStrictEqual(jobs, [job, job])
  })

  it("cuts files where their records are full", () => {
    const bounds = bounded({ minRecords: 1, maxFileRecords: 3, maxRecordsPerJob: 7 })
    const { jobs } = success(plan(bounds, ones(7), 7))
    assert.deepStrictEqual(jobs.map((job) => job.files.map((file) => file.records)), [[3, 3, 1]])
  })

  it("leaves out rows beyond maxRecordsTotal, and reads no further", () => {
    for (const count of [null, 1000]) {
      const bounds = bounded({ minRecords: 10, maxRecordsTotal: 150, maxRecordsPerJob: 100 })
      const planned = success(plan(bounds, ones(1000), count))
      assert.strictEqual(planned.taken, 150)
      assert.strictEqual(planned.jobs.reduce((sum, job) => sum + job.records, 0), 150)
      const planner = Result.getOrThrow(Planner.make(bounds, count))
      for (let i = 0; i < 150; i++) planner.add(1)
      assert.isTrue(planner.ended)
    }
  })

  it("leaves out rows beyond maxJobs", () => {
    for (const count of [null, 1000]) {
      const bounds = bounded({ minRecords: 10, maxJobs: 3, maxRecordsPerJob: 100 })
      assert.deepStrictEqual(sizesOf(plan(bounds, ones(1000), count)), [100, 100, 100])
      assert.deepStrictEqual(sizesOf(plan(bounds, ones(150), count === null ? null : 150)).length, 2)
    }
  })

  it("fills the jobs that maxJobs leaves when bytes cut one short", () => {
    const bounds = bounded({ minRecords: 10, maxJobs: 2, maxRecordsPerJob: 100, maxJobBytes: 1000 })
    const sizes = [...new Array<number>(50).fill(20), ...ones(150)]
    assert.deepStrictEqual(sizesOf(plan(bounds, sizes, 200)), [50, 100])
    assert.deepStrictEqual(sizesOf(plan(bounds, sizes, null)), [50, 100])
  })

  it("keeps the most records of a job when bytes cut the one before it short", () => {
    // Thirteen records make two jobs of seven and six; the bytes of the first leave eight, which cannot be divided.
    const bounds = bounded({ minRecords: 5, maxRecords: 7, maxRecordsPerJob: 6, maxFileBytes: 100, maxJobBytes: 100 })
    const planned = plan(bounds, [20, 20, 20, 20, 20, 1, 1, 1, 1, 1, 1, 1, 1], 13)
    if (Result.isSuccess(planned)) check(bounds, planned.success)
    else assert.strictEqual(planned.failure.problem, "no-plan")
  })

  it("says that there are no rows, or too few", () => {
    for (const known of [true, false]) {
      const empty = failure(plan(bounded({}), [], known ? 0 : null))
      assert.deepStrictEqual([empty.problem, empty.message], ["empty", "there are no rows"])
      const few = failure(plan(bounded({}), ones(99), known ? 99 : null))
      assert.strictEqual(few.problem, "below-minimum")
      assert.include(few.message, "there are 99 rows, and a batch job must have at least 100")
    }
  })

  it("names the row whose request is larger than a file may be", () => {
    const tooLarge = failure(plan(bounded({ minRecords: 1, maxFileBytes: 10 }), [3, 3, 11], null))
    assert.deepStrictEqual([tooLarge.problem, tooLarge.row], ["record-too-large", 3])
    assert.include(tooLarge.message, "11 bytes")
  })

  it("says that the fewest records of a job are larger than a job may be", () => {
    const bounds = bounded({ minRecords: 3, maxFileBytes: 10, maxJobBytes: 20 })
    const first = failure(plan(bounds, [10, 10, 10], null))
    assert.deepStrictEqual([first.problem, first.row], ["record-too-large", 3])
    const later = failure(plan(bounds, [1, 1, 1, 9, 9, 9, 9], null))
    assert.strictEqual(later.problem, "record-too-large")
  })

  it("says that an unknown number cannot be divided where a known one may be", () => {
    const bounds = bounded({ minRecords: 100, maxRecords: 150 })
    const unknown = failure(plan(bounds, ones(300), null))
    assert.strictEqual(unknown.problem, "no-plan")
    assert.include(unknown.message, "raise maxRecords to 199")
    assert.deepStrictEqual(sizesOf(plan(bounds, ones(300), 300)), [150, 150])
    assert.strictEqual(failure(plan(bounds, ones(160), 160)).problem, "no-plan")
    assert.strictEqual(failure(plan(bounded({ minRecords: 3, maxRecords: 2 }), ones(9), 9)).problem, "no-plan")
  })

  it("plans a million records in bounded memory, holding back twice the minimum at most", () => {
    const bounds = bounded({ maxRecordsPerJob: 33_333 })
    const planner = Result.getOrThrow(Planner.make(bounds, null))
    let most = 0
    let given = 0
    for (let i = 0; i < 1_000_000; i++) {
      planner.add(200)
      if (i % 5000 === 0) for (const step of planner.takeSteps()) given += step.records
      most = Math.max(most, planner.pending)
    }
    assert.isTrue(Result.isSuccess(planner.end()))
    for (const step of planner.takeSteps()) given += step.records
    assert.strictEqual(given, 1_000_000)
    assert.isAtMost(most, 200)
  })
})
