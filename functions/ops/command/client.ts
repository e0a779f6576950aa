import { setTimeout as wait } from 'node:timers/promises'
import type { Placed } from '../../http/route.ts'
import type { Answer, Input } from './command.ts'
import { fieldsOf, partOf } from './fields.ts'
import { signRequest } from './sign.ts'
import type { Machine, Target } from './target.ts'

/** A request as it goes out. */
interface Outgoing {
  method: string
  url: URL
  body: string
  headers: Record<string, string>
  /** Whether a repeat of the request does nothing twice. */
  repeats: boolean
}

/** A request that was refused, or of which no answer came. */
export class CallRefused extends Error {
  override readonly name = 'CallRefused'
  /** The status of the answer; undefined without one. */
  readonly status: number | undefined
  /** The fields that are not as they must be. */
  readonly fields: readonly { field: string; message: string }[]
  /** How long the deployment asks to wait, if it does. */
  readonly retryAfterSeconds: number | undefined

  constructor(text: string, answer?: Response, body?: unknown) {
    super(text)
    this.status = answer?.status
    this.fields = ((body ?? {}) as Problem).errors ?? []
    this.retryAfterSeconds = Number(answer?.headers.get('retry-after')) || undefined
  }
}

/** How often a request is sent whose repeat is harmless, while no answer comes. */
const TRIES = 3
const PAUSE_MS = 1_000

/**
 * Calls an endpoint as an operator.
 * @param request names the request, for endpoints that recognise a repeat by its name
 * @throws CallRefused with a sentence for the person at the terminal
 */
export async function callRow<R extends Placed>(
  machine: Pick<Machine, 'fetch'>,
  target: Target,
  row: R,
  input: Input,
  request: string,
): Promise<Answer<R>> {
  const outgoing = outgoingOf(row, target.url, input, request)
  for (let left = TRIES - 1; ; left--) {
    const answer = await send(machine, target, outgoing).catch((error: Error) => error)
    const isLost = answer instanceof Error || answer.status >= 500
    if (isLost && outgoing.repeats && left > 0) {
      await wait(PAUSE_MS)
      continue
    }
    if (answer instanceof Error)
      throw new CallRefused(`No answer came from ${target.url}.${lostText(true, outgoing, request)}`)
    const body = bodyOf(await answer.text())
    if (answer.ok) return body as Answer<R>
    const text = refusalText(row, answer.status, body) + lostText(isLost, outgoing, request)
    throw new CallRefused(text, answer, body)
  }
}

function outgoingOf(row: Placed, base: string, input: Input, request: string): Outgoing {
  const [method = '', pattern = ''] = row.routes[0].split(' ')
  const path = pattern.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(String(input[name] ?? '')))
  const url = new URL(path, base)
  const inPath = Object.keys(fieldsOf(row.path))
  const rest = Object.fromEntries(Object.entries(input).filter(([name]) => !inPath.includes(name)))
  for (const [name, value] of Object.entries(partOf(row.query, rest)))
    url.searchParams.set(name, String(value))
  const named = Object.hasOwn(fieldsOf(row.headers), 'idempotency-key')
  return {
    method,
    url,
    body: row.body ? JSON.stringify(partOf(row.body, rest)) : '',
    headers: {
      ...(row.body && { 'content-type': 'application/json' }),
      ...(named && { 'idempotency-key': request }),
    },
    repeats: method === 'GET' || named,
  }
}

function send(
  { fetch }: Pick<Machine, 'fetch'>,
  { signing, aheadMs }: Target,
  { method, url, body, headers }: Outgoing,
) {
  const signature = signRequest(signing, { method, url, body }, Date.now() + aheadMs)
  return fetch(url, { method, headers: { ...headers, ...signature }, ...(body !== '' && { body }) })
}

function bodyOf(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What to do about a request of which nobody knows whether it took effect. */
function lostText(isLost: boolean, { method, repeats }: Outgoing, request: string): string {
  if (!isLost || method === 'GET') return ''
  return repeats
    ? ` It may have been done. Repeat the command with --request ${request}: that does nothing twice.`
    : ' It may have been done. Look before you repeat the command.'
}

interface Problem {
  title?: string
  detail?: string
  errors?: { field: string; message: string }[]
  requestId?: string
}

function refusalText(row: Placed, status: number, body: unknown): string {
  const { title, detail, errors = [], requestId } = (body ?? {}) as Problem
  if (detail === undefined && status === 403)
    return `The deployment refused your AWS credentials for this. They need execute-api:Invoke on the paths of the role ${row.role}, and a clock that is right to five minutes; functions/ops/README.md has the policy.`
  if (detail === undefined && status === 404)
    return 'The deployment does not have this command. It may be older than this copy of Bursar.'
  if (errors.length > 0) return `${errors.map(({ field, message }) => `${field} ${message}`).join('; ')}.`
  const said = detail ?? title ?? `The deployment answered ${status}.`
  return status >= 500 && requestId ? `${said} Its log has the request ${requestId}.` : said
}
