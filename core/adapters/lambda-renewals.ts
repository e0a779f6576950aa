import type { Renewals } from '../ports.ts'
import { awsUrl, poster } from './aws-post.ts'
import { type AwsCredentials, requestSigner } from './aws-sign.ts'

/** The Lambda function that renews a bundle, and the credentials to invoke it. */
export interface RenewalFunction {
  functionName: string
  region: string
  /** Replaces the address of Lambda in the region. */
  endpoint?: string | undefined
  credentials: AwsCredentials
}

/** A consume waits for the answer, so it comes within 0.8 s or not at all. */
const LIMITS = { connectionTimeout: 300, requestTimeout: 500 }

/** Lambda's status for an invocation that it has queued. */
const ACCEPTED = 202

/** Starts the function by Lambda's API (Invoke, type Event), without AWS's client, which starts slowly. */
export function lambdaRenewals({ functionName, region, endpoint, credentials }: RenewalFunction): Renewals {
  const path = `/2015-03-31/functions/${functionName}/invocations`
  const url = new URL(path, endpoint ?? awsUrl('lambda', region))
  const post = poster(url, 'Lambda', LIMITS)
  const sign = requestSigner(region, credentials, 'lambda', path)
  const headers = {
    host: url.host,
    'content-type': 'application/json',
    'x-amz-invocation-type': 'Event',
  }
  return {
    async start(accountId) {
      const body = JSON.stringify({ accountId })
      const { status } = await post(sign({ headers, body }, Date.now()), body)
      if (status !== ACCEPTED) throw new Error(`Lambda answered ${status}`)
    },
  }
}
