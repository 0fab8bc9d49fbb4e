/**
 * The tags of jobs.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { lastOfEachKey, readTags, type Tag } from "./CreateRequest.ts"
import type { JobRecord } from "./JobRecord.ts"
import { isObject, type JsonObject } from "./Json.ts"
import { ServiceException } from "./ServiceException.ts"
import { constraints, Findings } from "./Validation.ts"

const mostTags = 50

/**
 * Returns the refusal of more tags than a resource may have, or null where they are few enough.
 *
 * @since 0.1.0
 * @category checks
 */
export const tooMany = (tags: ReadonlyArray<Tag>, resourceName: string): ServiceException | null =>
  tags.length <= mostTags ? null : new ServiceException({
    name: "TooManyTagsException",
    message: `The request contains more tags than can be associated with a resource (${mostTags} tags per resource)`,
    resourceName
  })

/**
 * The tag operations, over the job that `find` gives for an identifier; `change` gives a job its tags.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  find: (identifier: string) => Effect.Effect<JobRecord, ServiceException>,
  change: (job: JobRecord, tags: ReadonlyArray<Tag>) => void
) => {
  const read = Effect.fnUntraced(function*<A>(body: unknown, parse: (findings: Findings, body: JsonObject) => A) {
    const findings = new Findings()
    const given = isObject(body) ? body : {}
    const arn = findings.text("resourceARN", given["resourceARN"], { min: 20, max: 1011 }, true) ?? ""
    const parsed = parse(findings, given)
    if (findings.problem !== null) return yield* new ServiceException(findings.problem)
    if (!constraints.jobIdentifier.pattern.test(arn)) {
      // Nothing but jobs can have tags here.
      const message = `Could not find the resource: ${arn}`
      return yield* new ServiceException({ name: "ResourceNotFoundException", message })
    }
    return { job: yield* find(arn), parsed }
  })
  return {
    tag: Effect.fnUntraced(function*(body: unknown) {
      const { job, parsed } = yield* read(body, (findings, given) => readTags(findings, given["tags"], true))
      const merged = lastOfEachKey([...job.tags, ...parsed])
      const problem = tooMany(merged, job.arn)
      if (problem !== null) return yield* problem
      change(job, merged)
      return {}
    }),
    untag: Effect.fnUntraced(function*(body: unknown) {
      const { job, parsed } = yield* read(body, (findings, given) =>
        (findings.list("tagKeys", given["tagKeys"], 0, 200, true) ?? []).map((key, index) =>
          findings.text(`tagKeys.${index + 1}.member`, key, constraints.tagKey, true)
        ))
      change(job, job.tags.filter((tag) => !parsed.includes(tag.key)))
      return {}
    }),
    list: Effect.fnUntraced(function*(body: unknown) {
      const { job } = yield* read(body, () => null)
      return { tags: job.tags }
    })
  }
}
