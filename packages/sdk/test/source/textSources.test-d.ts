import { Schema } from "effect"
import { prepare, Prompt, Source } from "../../src/index.ts"
import type { ObjectStore } from "../../src/store/ObjectStore.ts"

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
type RowOf<S> = S extends Source.Source<infer Row, ObjectStore> ? Row : never
const same = <A, B>(..._: Same<A, B> extends true ? [] : [never]): void => {}

const columns = Schema.Struct({ id: Schema.Int, text: Schema.String, note: Schema.optionalKey(Schema.String) })

// --- csv: selected columns are known to the compiler
const selected = Source.csv(["a.csv", new URL("file:///b/")], { select: ["id", "text"], limit: 5 })
same<RowOf<typeof selected>, { readonly id: string; readonly text: string }>()
const withNulls = Source.csv("a.csv", { select: ["id"], nullValues: ["NA"] })
same<RowOf<typeof withNulls>, { readonly id: string | null }>()
const all = Source.csv("a.csv", { limit: 5, quote: null, names: ["id"] })
same<RowOf<typeof all>, Source.UntypedRow<string>>()
const typed = Source.csv("a.csv", { columns, limit: 5 })
same<RowOf<typeof typed>, { readonly id: number; readonly text: string; readonly note?: string }>()
const picked = Source.csv("a.csv", { columns, select: ["text", "note"] })
interface Row {
  readonly id: number
  readonly text: string
  readonly note?: string
}
same<RowOf<typeof picked>, Pick<Row, "text" | "note">>()
// @ts-expect-error a column that the schema does not have
Source.csv("a.csv", { columns, select: ["txt"] })
const chosen: Array<string> = []
const unknownNames = Source.csv("a.csv", { select: chosen })
same<RowOf<typeof unknownNames>, { readonly [x: string]: string }>()

// --- jsonl
const lines = Source.jsonl("a.jsonl")
same<RowOf<typeof lines>, Source.UntypedRow>()
const some = Source.jsonl("s3://b/data/", { select: ["id", "text"] })
same<RowOf<typeof some>, { readonly id: unknown; readonly text: unknown }>()
const declared = Source.jsonl("a.jsonl", { columns })
same<RowOf<typeof declared>, { readonly id: number; readonly text: string; readonly note?: string }>()
const taken = Source.jsonl("a.jsonl", { columns, select: ["id"], limit: 1 })
same<RowOf<typeof taken>, Pick<{ readonly id: number; readonly text: string; readonly note?: string }, "id">>()
// @ts-expect-error a column that the schema does not have
Source.jsonl("a.jsonl", { columns, select: ["txt"] })

// --- a prompt names selected columns only
const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
void prepare({ name: "a", source: selected, model, prompt: Prompt.make("Translate {text}") })
// @ts-expect-error `topic` is not selected
void prepare({ name: "a", source: selected, model, prompt: Prompt.make("Translate {topic}") })
