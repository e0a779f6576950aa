/**
 * A double of the IAM authorization of an HTTP API: Signature Version 4 of a request, and the policies of whoever
 * signed it. As the service does, it answers every refusal alike: 403 without a reason.
 *
 * Where the documentation is silent, these are guesses: a signature must cover the host and the time, a query in the
 * URL does not sign (no presigned requests), and the path of the policy is the decoded one.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { ROLES, type Role } from '../../core/operators/operator.ts'
import { policyOf } from '../../functions/deploy/operator-policies.ts'
import { ACCOUNT_ID, API_ARN, joinHeaders, parseTarget, REGION, type ReceivedRequest } from './event.ts'

/** Somebody with AWS credentials, and what their policies allow. */
export interface Principal {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string | undefined
  userArn: string
  /** Resources of `execute-api:Invoke`; `*` stands for any text. */
  resources: readonly string[]
}

/** What the integration learns of the principal. */
export type IamContext = ReturnType<typeof contextOf>

const WINDOW_MS = 5 * 60_000

/** The local operators, by role, each with a secret of its own. */
export function localOperators(): Record<Role, Principal> {
  const one = (role: Role): Principal => ({
    accessKeyId: `AKIALOCAL${role.toUpperCase()}`,
    secretAccessKey: randomBytes(30).toString('base64url'),
    userArn: `arn:aws:sts::${ACCOUNT_ID}:assumed-role/bursar-${role}/local-${role}`,
    resources: policyOf(role, API_ARN).Resource,
  })
  return Object.fromEntries(ROLES.map((role) => [role, one(role)])) as Record<Role, Principal>
}

/** Finds the principal that signed a request, if its policies allow the request. */
export function admit(
  principals: readonly Principal[],
  request: ReceivedRequest,
  nowMs: number,
): IamContext | undefined {
  const headers = joinHeaders(request.rawHeaders)
  const signed = readAuthorization(headers.authorization)
  const principal = principals.find(({ accessKeyId }) => accessKeyId === signed?.accessKeyId)
  if (!signed || !principal) return undefined
  const time = headers['x-amz-date'] ?? ''
  const atMs = Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
  const isFresh = Math.abs(nowMs - atMs) <= WINDOW_MS
  const isOurs = signed.scope === `${time.slice(0, 8)}/${REGION}/execute-api/aws4_request`
  const covers = ['host', 'x-amz-date'].every((name) => signed.names.includes(name))
  if (!isFresh || !isOurs || !covers) return undefined
  if (principal.sessionToken !== headers['x-amz-security-token']) return undefined
  const expected = Buffer.from(signatureOf(request, headers, signed, time, principal))
  const given = Buffer.from(signed.signature)
  if (expected.length !== given.length || !timingSafeEqual(expected, given)) return undefined
  return mayInvoke(principal, request) ? contextOf(principal) : undefined
}

interface Signed {
  accessKeyId: string
  scope: string
  names: string[]
  signature: string
}

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([^/,\s]+)\/([^,\s]+), ?SignedHeaders=([\w;-]+), ?Signature=([0-9a-f]{64})$/

function readAuthorization(text = ''): Signed | undefined {
  const [, accessKeyId, scope, list, signature] = AUTHORIZATION.exec(text) ?? []
  if (!accessKeyId || !scope || !list || !signature) return undefined
  return { accessKeyId, scope, names: list.split(';'), signature }
}

function signatureOf(
  { method, target, body }: ReceivedRequest,
  headers: Record<string, string>,
  { scope, names }: Signed,
  time: string,
  { secretAccessKey }: Principal,
): string {
  const [path = '', query = ''] = target.replace(/^https?:\/\/[^/?]*/i, '').split(/\?(.*)/s)
  const lines = names.map((name) => `${name}:${(headers[name] ?? '').trim().replace(/ +/g, ' ')}\n`)
  const canonical = [
    method,
    path.split('/').map(escaped).join('/'),
    [...new URLSearchParams(query)]
      .map((pair) => pair.map(escaped).join('='))
      .sort()
      .join('&'),
    lines.join(''),
    names.join(';'),
    sha256(body),
  ].join('\n')
  const key = scope
    .split('/')
    .reduce<Buffer>((secret, part) => hmac(secret, part), Buffer.from(`AWS4${secretAccessKey}`))
  return hmac(key, `AWS4-HMAC-SHA256\n${time}\n${scope}\n${sha256(canonical)}`).toString('hex')
}

const sha256 = (text: string | Buffer): string => createHash('sha256').update(text).digest('hex')
const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
const escaped = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)

function mayInvoke({ resources }: Principal, { method, target }: ReceivedRequest): boolean {
  const asked = `${API_ARN}/$default/${method}${parseTarget(target)?.path}`
  return resources.some((resource) => {
    const parts = resource.split('*').map((part) => part.replace(/[.$?+^()[\]{}|\\]/g, '\\$&'))
    return new RegExp(`^${parts.join('.*')}$`, 's').test(asked)
  })
}

const contextOf = ({ accessKeyId, userArn }: Principal) => ({
  accessKey: accessKeyId,
  accountId: ACCOUNT_ID,
  callerId: `AROALOCAL:${userArn.split('/').at(-1)}`,
  cognitoIdentity: null,
  principalOrgId: 'aws:PrincipalOrgID',
  userArn,
  userId: `AROALOCAL:${userArn.split('/').at(-1)}`,
})
