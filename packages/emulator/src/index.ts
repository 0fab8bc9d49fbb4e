/** Seeded randomness. */
export * as Chance from "./Chance.ts"
/** The service itself, without a wire. */
export * as Emulator from "./Emulator.ts"
/** State changes of jobs as EventBridge delivers them. */
export * as Events from "./Events.ts"
/** What goes wrong on request. */
export * as Faults from "./Faults.ts"
/** The emulator in this process, over a folder. */
export * as Local from "./Local.ts"
/** The lists of models. */
export * as FoundationModels from "./FoundationModels.ts"
/** The fault options in JSON. */
export * as FaultsJson from "./FaultsJson.ts"
/** A job as Get and List show it. */
export * as JobRecord from "./JobRecord.ts"
/** What an emulator remembers when its process ends. */
export * as Journal from "./Journal.ts"
/** The query of a list call. */
export * as ListQuery from "./ListQuery.ts"
/** Model ids. */
export * as Model from "./Model.ts"
/** What the emulated models answer. */
export * as Responder from "./Responder.ts"
/** How the service says no. */
export * as ServiceException from "./ServiceException.ts"
/** The emulator over HTTP. */
export * as Server from "./Server.ts"
/** What an emulator counts. */
export * as Stats from "./Stats.ts"
/** Where the objects behind `s3://` URIs live. */
export * as Storage from "./Storage.ts"
/** How long each phase of a job takes. */
export * as Timing from "./Timing.ts"

/** The quotas of batch inference, as Service Quotas tells them. */
export * as ServiceQuotas from "./ServiceQuotas.ts"
