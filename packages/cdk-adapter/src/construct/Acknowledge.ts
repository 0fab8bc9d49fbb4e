/**
 * Findings of AWS's rules that are meant to be as they are, with the reason, so that an app that runs `cdk-nag` need not
 * give it.
 *
 * @internal
 */
import { Validations } from "aws-cdk-lib"
import type { IConstruct } from "constructs"

/** @internal */
export const acknowledge = (scope: IConstruct, findings: Readonly<Record<string, string>>): void => {
  for (const [finding, reason] of Object.entries(findings)) {
    Validations.of(scope).acknowledge({ id: `AwsSolutions::AwsSolutions-${finding}`, reason })
  }
}
