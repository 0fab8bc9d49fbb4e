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
/** Model ids. */
export * as Model from "./Model.ts"
/** What the emulated models answer. */
export * as Responder from "./Responder.ts"
/** How the service says no. */
export * as ServiceException from "./ServiceException.ts"
/** What an emulator counts. */
export * as Stats from "./Stats.ts"
/** Where the objects behind `s3://` URIs live. */
export * as Storage from "./Storage.ts"
/** How long each phase of a job takes. */
export * as Timing from "./Timing.ts"
