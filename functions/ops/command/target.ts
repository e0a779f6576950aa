import type { Role } from '../../../core/operators/operator.ts'
import { LOCAL_URL, type Where } from './read.ts'
import type { Signing } from './sign.ts'

/** A deployment, and the credentials to sign requests to it with. */
export interface Target {
  url: string
  signing: Signing
  /** How far its clock is ahead of ours: somebody may have moved that of a stack on this machine. */
  aheadMs: number
}

/** What a command needs of the machine that it runs on. */
export interface Machine {
  fetch: typeof fetch
  env: Readonly<Record<string, string | undefined>>
  /** Runs the AWS CLI. @returns what it printed @throws Error with a sentence for people */
  aws(args: readonly string[]): Promise<string>
}

/**
 * Finds the deployment and the credentials: of the stack on this machine, which has operators of its own, or of AWS.
 * @throws Error with a sentence for the person at the terminal
 */
export async function targetOf(machine: Machine, { stage, url, region, role }: Where): Promise<Target> {
  const address = stage === undefined ? (url ?? LOCAL_URL) : await endpointOf(machine, stage)
  if (isLocal(address)) return localTarget(machine, address, role)
  const credentials = await awsCredentials(machine)
  const known = region ?? regionOf(address) ?? machine.env.AWS_REGION ?? machine.env.AWS_DEFAULT_REGION
  if (known === undefined) throw new Error(`The AWS region of ${address} is unknown. Add --region REGION.`)
  return { url: address, signing: { ...credentials, region: known }, aheadMs: 0 }
}

const isLocal = (url: string): boolean => /^(127\.|localhost$|\[::1\]$)/.test(new URL(url).hostname)

/** API Gateway's own addresses name the region. */
const regionOf = (url: string): string | undefined =>
  /\.execute-api\.([a-z0-9-]+)\.amazonaws\.com$/.exec(new URL(url).hostname)?.[1]

async function endpointOf({ aws }: Machine, stage: string): Promise<string> {
  const query = `Items[?Name=='bursar-${stage}'].ApiEndpoint`
  const found: unknown[] = JSON.parse(
    await aws(['apigatewayv2', 'get-apis', '--query', query, '--output', 'json']),
  )
  const [address] = found
  if (found.length !== 1 || typeof address !== 'string')
    throw new Error(
      `There ${found.length === 0 ? 'is no' : 'is more than one'} API named bursar-${stage} in this AWS account and region. Name the deployment with --url, or choose the account with AWS_PROFILE and the region with AWS_REGION.`,
    )
  return address
}

/** The credentials of the environment, else those that the AWS CLI finds in its profiles. */
async function awsCredentials({ env, aws }: Machine): Promise<Omit<Signing, 'region'>> {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = env
  if (AWS_ACCESS_KEY_ID && AWS_SECRET_ACCESS_KEY)
    return {
      accessKeyId: AWS_ACCESS_KEY_ID,
      secretAccessKey: AWS_SECRET_ACCESS_KEY,
      sessionToken: AWS_SESSION_TOKEN,
    }
  const found = JSON.parse(await aws(['configure', 'export-credentials', '--format', 'process']))
  return {
    accessKeyId: found.AccessKeyId,
    secretAccessKey: found.SecretAccessKey,
    sessionToken: found.SessionToken,
  }
}

async function localTarget({ fetch }: Machine, url: string, role: Role): Promise<Target> {
  const answer = await fetch(new URL('/_local/operators', url)).catch(() => {
    throw new Error(
      `Nothing answers at ${url}. Start the stack with "npm run dev", or name a deployment with --stage.`,
    )
  })
  if (!answer.ok)
    throw new Error(`What answers at ${url} is no stack of Bursar. Name it with --url or --stage.`)
  const known = (await answer.json()) as Record<Role, Signing & { nowMs: number }>
  const { nowMs, ...signing } = known[role]
  return { url, signing, aheadMs: nowMs - Date.now() }
}
