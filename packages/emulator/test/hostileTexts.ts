/**
 * Holds every pattern against texts that make a backtracking one run for ages. In a process of its own, which can be
 * killed: a test that hangs cannot.
 */
import { constraints, Findings } from "../src/Validation.ts"

const heads = ["", "a", "s3://abc/", "arn:aws:bedrock:us-east-1:", "arn:aws:kms:", "arn:aws:iam::1:role/"]

for (const [name, constraint] of Object.entries(constraints)) {
  for (const part of ["-", "a-", "a", "/a", ".a", "a.", "0_"]) {
    for (const head of heads) {
      for (const size of [30, 60, 1000, 2000]) {
        new Findings().text(name, `${head}${part.repeat(size)}!`.slice(-2048), constraint)
      }
    }
  }
}
