import { createHash } from 'node:crypto'
import { bytesOfBase64url } from '../../core/base64url.ts'
import type { Placed } from '../../functions/http/route.ts'
import type { App } from '../support/app.ts'
import { createKey, defaultKey } from '../support/keys.ts'
import { operatorToken } from '../support/operators.ts'
import type { SignedInPerson } from '../support/people.ts'
import { rowKey, sampleOf, tokenOf } from '../support/samples.ts'
import { sendRaw, type TestAnswer } from '../support/send.ts'
import { cardOnFile, signed } from '../support/stripe.ts'
import { diceOf } from './dice.ts'
import type { Operation } from './operations.ts'
import { type FuzzRequest, type Material, makeRequest } from './requests.ts'
import { faultOf, outcomeOf, type Secrets } from './verdict.ts'

/** Requests of one kind of caller and input; then it is made anew, since they may have used it up. */
const REQUESTS_OF_ONE = 20
const HOUR_MS = 3_600_000

/** Something that is wrong with an answer. */
export interface Finding {
  route: string
  /** Which request of the route it was, from 0 on. */
  nth: number
  request: FuzzRequest
  answer: Pick<TestAnswer, 'status' | 'text'>
  fault: string
}

/** The answers to a route's requests. */
export interface RouteRun {
  findings: Finding[]
  /** How many requests had each outcome, such as `400 invalid_request`. */
  outcomes: Map<string, number>
  /** Of all requests and outcomes in their order: equal for two runs of a seed. */
  digest: string
}

/** What all routes share: another account, and ways in that are none. */
export interface Others {
  secrets: Secrets
  credentials: Record<string, string>
  foreign: Record<string, string>
}

/** Makes an account whose data nobody else may see, and credentials that have ended. */
export async function makeOthers(app: App): Promise<Others> {
  const victim = await app.signUp({
    username: 'victim-of-fuzz',
    email: 'Victim.Of.Fuzz@mail.example',
    password: 'V1ctim!Pass%word',
  })
  const { accessToken: token } = victim
  const address = { address1: 'Victim Street 7', city: 'Victimville', country: 'GB', zip: 'YO31 8SB' }
  await app.request('PUT', '/api/billing-settings', { token, json: { ...address, company: 'Victim Works' } })
  const card = await spelledCard(app)
  const key = await createKey(app, victim, 'key of the victim')
  const session = (await app.request('GET', '/v1/auth/sessions', { token })).body[0]
  const ended = await app.signUp()
  const json = { refreshToken: ended.refreshToken }
  await app.request('POST', '/v1/auth/logout', { token: ended.accessToken, json })
  const deactivated = await app.signUp()
  await app.request('PUT', '/api/users/current/deactivate', { token: deactivated.accessToken })
  const { env } = app.stack
  const settings = ['STRIPE_SECRET_KEY', 'STRIPE_WEBHOOK_SECRETS', 'KEYRING', 'USER_POOL_CLIENT_SECRET']
  return {
    secrets: {
      always: {
        ...Object.fromEntries(settings.map((name) => [name, String(env[name])])),
        'the name of the table': String(env.TABLE_NAME),
        'the address of a double': String(env.AWS_ENDPOINT_URL_DYNAMODB),
        'a password': victim.password,
        'a key of another account': key.key,
        'the default key of another account': await defaultKey(app, victim),
        'an access token of another account': token,
        'a refresh token of another account': victim.refreshToken,
      },
      ofOthers: {
        'a username of another account': 'victim-of-fuzz',
        'an address of another account': 'Victim.Of.Fuzz',
        'a street of another account': 'Victim Street',
        'a company of another account': 'Victim Works',
        'the name of a key of another account': 'key of the victim',
      },
    },
    credentials: {
      'of a session that has ended': ended.accessToken,
      'of a deactivated account': deactivated.accessToken,
      'a key of a deactivated account': await defaultKey(app, deactivated),
    },
    foreign: {
      'another account': victim.accountId,
      'a card of another account': card,
      'a key of another account': key.id,
      'a session of another account': session.id,
    },
  }
}

/** A card whose id reads as base64url too, so that a field of a passkey refuses it for the same reason in every run. */
async function spelledCard(app: App): Promise<string> {
  const card = await cardOnFile(app, await app.signUp())
  return bytesOfBase64url(card) ? card : spelledCard(app)
}

export interface Run {
  seed: number
  /** How many requests each route gets. */
  perRoute: number
}

/**
 * Sends requests to a route as the seed has it, one after the other, so that two runs of a seed send the same. A caller
 * and a right input are made anew after every so many requests, an hour later, so that no limit of an hour stays reached.
 */
export async function fuzzRoute(app: App, operation: Operation, others: Others, run: Run): Promise<RouteRun> {
  const { row, route } = operation
  const dice = diceOf(run.seed, route)
  const outcomes = new Map<string, number>()
  const digest = createHash('sha256')
  const findings: Finding[] = []
  let material: Material | undefined
  for (let nth = 0; nth < run.perRoute; nth++) {
    if (nth % REQUESTS_OF_ONE === 0) {
      if (nth > 0) app.advance(HOUR_MS)
      material = await materialFor(app, row, others)
    }
    const request = makeRequest(dice, operation, material as Material)
    const { method, target, headers, body } = request
    const answer = await sendRaw(app.url, method, target, headers, body)
    const outcome = outcomeOf(answer)
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    digest.update(`${nth} ${request.changes.join('; ')} ${outcome}\n`)
    const fault = faultOf(row, request, answer, others.secrets)
    if (fault) findings.push({ route, nth, request, answer, fault })
  }
  return { findings, outcomes, digest: digest.digest('hex').slice(0, 16) }
}

async function materialFor(app: App, row: Placed, others: Others): Promise<Material> {
  const person = await app.signUp()
  const sample = await sampleOf(app, row, person)
  const credential = await tokenOf(app, row, person)
  const webhookSecret = String(app.stack.env.STRIPE_WEBHOOK_SECRETS)
  return {
    sample,
    credential,
    credentials: { ...(await wrongCredentials(app, person, credential)), ...others.credentials },
    foreign: others.foreign,
    sign: (body) => ({ 'stripe-signature': signed(body, webhookSecret) }),
  }
}

/** Another text of the same length. The last character of a token may have any of several values, and only some are wrong. */
const spoiled = (text: string): string =>
  text.slice(0, -2) + (text.at(-2) === 'A' ? 'B' : 'A') + text.slice(-1)

async function wrongCredentials(
  app: App,
  person: SignedInPerson,
  right: string | undefined,
): Promise<Record<string, string>> {
  const key = await defaultKey(app, person)
  const { accessToken } = person
  return {
    none: '',
    'a second one': '',
    'no token': 'x',
    'a long one': 'x'.repeat(7_000),
    'an access token': accessToken,
    'an application key': key,
    'a key that nobody made': `bsr_${'0'.repeat(64)}_1_${'0'.repeat(24)}_${'0'.repeat(16)}`,
    'the credential of no service': `bss_${'0'.repeat(64)}_${'0'.repeat(16)}`,
    'a spoiled one': spoiled(right ?? accessToken),
    'the signature of a reader': operatorToken('read'),
    'no admin key': 'admin-key:x',
  }
}

/** A finding for a person at a terminal: what it is, the request as curl, the answer, and what to do. */
export function reportOf({ route, nth, request, answer, fault }: Finding, seed: number, url: string): string {
  const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`
  const headers = request.headers.map(([name, value]) => `  -H ${quoted(`${name}: ${value}`)} \\\n`).join('')
  const body = request.body === '' ? '' : `  --data-binary ${quoted(request.body)} \\\n`
  return [
    `${route} ${fault}`,
    `seed ${seed}, request ${nth} of the route: ${request.changes.join('; ') || 'nothing changed'}`,
    `curl -i -X ${request.method} \\\n${headers}${body}  ${quoted(url + request.target)}`,
    `answer ${answer.status}: ${answer.text.slice(0, 2_000)}`,
    `See it again: npm run fuzz -- --seed ${seed} --requests ${nth + 1} --route ${quoted(route)}`,
    'Put the request into test/fuzz/found.test.ts, and mend what it shows.',
  ].join('\n')
}

export const nameOf = ({ row, route }: Operation): string => `${rowKey(row)} ${route}`
