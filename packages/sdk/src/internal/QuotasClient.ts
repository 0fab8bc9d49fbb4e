/**
 * The client of Service Quotas, in a module of its own, so that it is loaded only where it is used.
 *
 * @internal
 */
import {
  GetServiceQuotaCommand,
  type GetServiceQuotaCommandOutput,
  ListAWSDefaultServiceQuotasCommand,
  ListServiceQuotasCommand,
  type ListServiceQuotasCommandOutput,
  ServiceQuotasClient
} from "@aws-sdk/client-service-quotas"
import type { Options } from "../bedrock/ServiceQuotasApi.ts"
import { credentialsOf } from "./Credentials.ts"

type Page = Pick<ListServiceQuotasCommandOutput, "Quotas" | "NextToken">

/** @internal */
export interface QuotasClient {
  readonly get: (code: string, abortSignal: AbortSignal) => Promise<GetServiceQuotaCommandOutput>
  readonly list: (nextToken: string | undefined, abortSignal: AbortSignal) => Promise<Page>
  readonly defaults: (nextToken: string | undefined, abortSignal: AbortSignal) => Promise<Page>
  readonly destroy: () => void
}

const ServiceCode = "bedrock"

/** In milliseconds. */
const timeouts = { connectionTimeout: 5_000, socketTimeout: 10_000 }

/** @internal */
export const make = (options: Options): QuotasClient => {
  const client = new ServiceQuotasClient({
    requestHandler: timeouts,
    ...(options.region === undefined ? {} : { region: options.region }),
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    ...(options.credentials === undefined ? {} : { credentials: credentialsOf(options.credentials) })
  })
  const paging = (NextToken: string | undefined) => ({
    ServiceCode,
    MaxResults: 100,
    ...(NextToken === undefined ? {} : { NextToken })
  })
  return {
    get: (QuotaCode, abortSignal) =>
      client.send(new GetServiceQuotaCommand({ ServiceCode, QuotaCode }), { abortSignal }),
    list: (nextToken, abortSignal) => client.send(new ListServiceQuotasCommand(paging(nextToken)), { abortSignal }),
    defaults: (nextToken, abortSignal) =>
      client.send(new ListAWSDefaultServiceQuotasCommand(paging(nextToken)), { abortSignal }),
    destroy: () => client.destroy()
  }
}
