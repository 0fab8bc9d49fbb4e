/**
 * Credentials for AWS clients.
 *
 * @internal
 */
import type { Credentials } from "../bedrock/BedrockApi.ts"

/** Credentials as the AWS clients take them. @internal */
export const credentialsOf = ({ accessKeyId, secretAccessKey, sessionToken }: Credentials) => ({
  accessKeyId,
  secretAccessKey,
  ...(sessionToken === undefined ? {} : { sessionToken })
})
