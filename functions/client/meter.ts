import { systemClock, uuidV7 } from './meter/clock.ts'
import { exactSpender } from './meter/exact.ts'
import { type FakeControls, type FakeKey, fakeSpender } from './meter/fake.ts'
import { type JournalStore, memoryStore, openJournal } from './meter/journal.ts'
import {
  type AuthorizerEvent,
  authorizer,
  type GatewayEvent,
  middyMiddleware,
  type PolicyVerdict,
  type SimpleVerdict,
} from './meter/lambda.ts'
import { type LeaseOptions, leasedSpender } from './meter/leased.ts'
import type { Metering } from './meter/metering.ts'
import { type ExpressRequest, expressMiddleware, type FastifyRequest, fastifyPlugin } from './meter/node.ts'
import { type Allowance, openOutage } from './meter/outage.ts'
import { type MeterProblem, openProblems, type Problems, withoutSecret } from './meter/problems.ts'
import { checkedUnits, type Metered, type Rule } from './meter/protect.ts'
import type {
  Clock,
  Decision,
  JournalEntry,
  Measure,
  Refused,
  Reserved,
  Spender,
  SpenderTools,
  SpendRequest,
} from './meter/spender.ts'
import { type OpenTelemetry, openTelemetry, type Telemetry } from './meter/telemetry.ts'
import { type Fetch, openTransport } from './meter/transport.ts'
import { openUnserved } from './meter/unserved.ts'
import { type FetchHandler, fetchHandler, type HonoContext, honoMiddleware } from './meter/web.ts'

export type {
  Allowance,
  Decision,
  FakeControls,
  FakeKey,
  JournalEntry,
  JournalStore,
  LeaseOptions,
  Metered,
  MeterProblem,
  OpenTelemetry,
  Refused,
  Reserved,
  Rule,
  SpendRequest,
}

// biome-ignore lint/suspicious/noExplicitAny: the meter's own rule reads requests of every framework
export interface MeterOptions extends Rule<any> {
  /** Where Bursar answers: `https://api.example.com`. */
  url: string
  /** `bss_…` of a service of the operator: one batch then carries many customers. Else each pays with the key it sends. */
  credential?: string
  /**
   * `exact`, the default, asks Bursar for each request, in groups. `leased` spends busy customers' units in memory, out of
   * blocks that it takes off their balances, and reports the use a few times a minute.
   */
  mode?: keyof typeof spenders
  /** How much a process holds in mode `leased`, and who bears the loss if it dies. */
  lease?: LeaseOptions
  /**
   * What happens while Bursar does not answer. `deny`, the default, answers 503. `allow` lets keys that were served in the
   * last hour pass, within `allowance`, journals the units, and tells Bursar later under the same ids.
   */
  onUnavailable?: 'deny' | 'allow'
  /** 1,000 units and 300 seconds by default. What Bursar then refuses, as the units are gone, the operator bears. */
  allowance?: Partial<Allowance>
  /** Keeps what Bursar has not confirmed; in memory by default, where a crash loses it. Holds keys: keep it secret. */
  journal?: JournalStore
  /** How long a request waits for Bursar, 800 ms by default. */
  timeoutMs?: number
  /** When a second try is sent under the same id, 250 ms by default. */
  hedgeAfterMs?: number
  /**
   * Whether requests that come at once share batches: true, but on Cloudflare Workers, where a request may not wait for
   * what another one has sent.
   */
  group?: boolean
  /**
   * Told what the operator should know: each time that Bursar has refused units for good, and, once a minute, that it does
   * not answer or does not take the service's requests. By default `console.warn`.
   */
  onProblem?: (problem: MeterProblem) => void
  /** `@opentelemetry/api`. It is loaded by itself where it is installed; a bundled service hands it over. false: none. */
  openTelemetry?: OpenTelemetry | false
  fetch?: Fetch
  clock?: Clock
}

export interface Meter {
  /**
   * Spends units, once for each call. @throws RangeError for units, tags or scopes that Bursar does not take. Otherwise
   * it does not reject: a refusal is a decision.
   */
  spend(request: SpendRequest): Decision | Promise<Decision>
  /** Takes units for work whose cost is known afterwards: `settle` what was used, 0 if the work failed. */
  reserve(request: SpendRequest & { ttlSeconds?: number }): Reserved | Promise<Reserved>
  /** The metering of a request, for its handler: of Hono's context, the `Request`, `req`, Fastify's request, the event. */
  metered(request: object): Metered
  hono(rule?: Rule<HonoContext>): ReturnType<typeof honoMiddleware>
  express(rule?: Rule<ExpressRequest>): ReturnType<typeof expressMiddleware>
  fastify(rule?: Rule<FastifyRequest>): ReturnType<typeof fastifyPlugin>
  /** Wraps a handler of Workers, Bun, Deno, or anything else that answers a `Request` with a `Response`. */
  fetch<Rest extends unknown[], R extends Request = Request>(
    handler: FetchHandler<Rest, R>,
    rule?: Rule<R>,
  ): (request: R, ...rest: Rest) => Promise<Response>
  /** Wraps a Next route handler: `export const GET = meter.next(handler)`. */
  next<Rest extends unknown[], R extends Request = Request>(
    handler: FetchHandler<Rest, R>,
    rule?: Rule<R>,
  ): (request: R, ...rest: Rest) => Promise<Response>
  middy(rule?: Rule<GatewayEvent>): ReturnType<typeof middyMiddleware>
  /** A Lambda authorizer that spends nothing. API Gateway may cache its verdict, for as long as a revoked key may pass. */
  verifyAuthorizer(rule?: AuthorizerRule): (event: AuthorizerEvent) => Promise<SimpleVerdict | PolicyVerdict>
  /** A Lambda authorizer that spends. Its cache must be off, and it cannot give units back. */
  spendAuthorizer(rule?: AuthorizerRule): (event: AuthorizerEvent) => Promise<SimpleVerdict | PolicyVerdict>
  /**
   * Refuses further requests, waits for those under way, and tells Bursar what is journalled. Call it once the server has
   * stopped taking requests.
   */
  close(): Promise<void>
}

type AuthorizerRule = Omit<Rule<AuthorizerEvent>, 'reserve' | 'giveBack'>

/** Ways to take units. Each gets the exact one to fall back to. */
const spenders = {
  exact: (exact: Spender): Spender => exact,
  leased: leasedSpender,
} as const

const DEFAULT_ALLOWANCE: Allowance = { units: 1_000, seconds: 300 }

/**
 * Protects an API of the operator with a customer's units. Works wherever `fetch` does.
 * @throws TypeError for a `url` or a `credential` that cannot work
 */
export function meter(options: MeterOptions): Meter {
  const { clock = systemClock, credential, timeoutMs = 800, hedgeAfterMs = 250, mode = 'exact' } = options
  const { group = globalThis.navigator?.userAgent !== 'Cloudflare-Workers' } = options
  const problems = openProblems(options.onProblem ?? warn, clock)
  const url = baseOf(options.url)
  // The error of `fetch` for an impossible header would quote it.
  if (credential !== undefined && !KEY.test(credential))
    throw new TypeError('The `credential` has characters that none can have, such as a line break.')
  // Called as a method of another object, the `fetch` of browsers and Workers throws.
  const fetch: Fetch = options.fetch ?? ((target, init) => globalThis.fetch(target, init))
  const telemetry = openTelemetry(options.openTelemetry, clock.nowMs)
  const measure: Measure = (name, value, attributes) => {
    telemetry.measure(name, value, attributes)
    if (name === 'uncollected' && attributes?.code === 'journal_failed') {
      problems.lost({
        code: 'journal_failed',
        detail: `The journal's store failed: ${value} units are lost.`,
      })
    }
    if (name === 'uncollected' && attributes?.code === 'lease') {
      problems.lost({
        code: 'uncollected',
        detail: `${value} units of a lease were served and are not paid for.`,
      })
    }
  }
  const byService = credential !== undefined
  const onNoAnswer = (reason: string) =>
    problems.state('unavailable', `Bursar did not answer at ${url}: ${reason}.`)
  const call = openTransport({ url, credential, hedgeAfterMs, fetch, clock, measure, onNoAnswer })
  const journal = openJournal({
    call,
    byService,
    timeoutMs,
    measure,
    clock,
    store: options.journal ?? memoryStore(),
    onUncollected(entry, code) {
      outage.refused(entry.key)
      problems.lost({
        code: 'uncollected',
        detail: `${entry.units} units were served and refused: ${code}.`,
        entry: withoutSecret(entry),
      })
    },
  })
  const allowance =
    options.onUnavailable === 'allow' ? { ...DEFAULT_ALLOWANCE, ...options.allowance } : undefined
  const tools: SpenderTools = {
    call,
    clock,
    byService,
    timeoutMs,
    measure,
    journal,
    newId: () => uuidV7(clock.nowMs()),
  }
  const outage = openOutage(allowance, clock, journal)
  const parts = { isGrouped: group, outage, unserved: openUnserved(clock) }
  const spender = spenders[mode](exactSpender(tools, parts), tools, options.lease)
  return meterWith(options, spender, telemetry, problems, async () => {
    await spender.close()
    await journal.close()
  })
}

/**
 * A meter for a service's own tests, with the same interface and adapters, in memory: `fakeMeter({ keys: { k1: 10 } })`.
 * Balances can be set and spends read; no request leaves the process. A key that was not given is refused with 401.
 */
export function fakeMeter(
  // biome-ignore lint/suspicious/noExplicitAny: as for `MeterOptions`
  options: Rule<any> & { keys?: Readonly<Record<string, number | FakeKey>> } = {},
): Meter & FakeControls {
  const { keys = {}, ...rule } = options
  const spender = fakeSpender(keys)
  const { spends, setUnits, left, refuseAll, recover } = spender
  const silent = openProblems(() => {}, systemClock)
  const fake = meterWith(rule, spender, openTelemetry(false, systemClock.nowMs), silent, spender.close)
  return { ...fake, spends, setUnits, left, refuseAll, recover }
}

function meterWith(
  // biome-ignore lint/suspicious/noExplicitAny: as for `MeterOptions`
  own: Rule<any>,
  spender: Spender,
  telemetry: Telemetry,
  problems: Problems,
  close: () => Promise<void>,
): Meter {
  const shown = new WeakMap<object, Metered>()
  function told<D extends Decision>(decision: D): D {
    if (!decision.allowed && decision.status === 503 && !OWN_CODES.has(decision.code))
      problems.state(decision.code, decision.detail ?? '')
    return decision
  }
  /** A mistake of the service's own must not end the reservation, or reach the journal. */
  function checked(reserved: Reserved): Reserved {
    if (!reserved.allowed) return reserved
    const { settle } = reserved
    return { ...reserved, settle: async (units) => settle(checkedUnits(units)) }
  }
  function decide<D extends Decision>(name: string, request: SpendRequest, work: () => D | Promise<D>) {
    const bad = refusedUnsent(request)
    if (bad !== undefined) return bad
    const decision = telemetry.around(name, request, work)
    return decision instanceof Promise ? decision.then(told) : told(decision)
  }
  const metering: Metering = {
    spend: (request) => decide<Decision>('spend', request, () => spender.spend(request)),
    reserve(request, ttlSeconds) {
      const reserved = decide<Reserved>('reserve', request, () => spender.reserve(request, ttlSeconds))
      return reserved instanceof Promise ? reserved.then(checked) : checked(reserved)
    },
    giveBack: (request, allowed) => spender.giveBack(request, allowed),
    ruleOf: (rule) => ({ ...own, ...rule }),
    show: (request, { metered }) => void shown.set(request, metered),
    metered(request) {
      const metered = shown.get(request)
      if (metered === undefined) throw new Error('This request has not passed the meter.')
      return metered
    },
  }
  const wrap: Meter['fetch'] = (handler, rule = {}) => fetchHandler(metering, handler, rule)
  return {
    spend: metering.spend,
    reserve: ({ ttlSeconds = 300, ...request }) => metering.reserve(request, ttlSeconds),
    metered: metering.metered,
    hono: (rule = {}) => honoMiddleware(metering, rule),
    express: (rule = {}) => expressMiddleware(metering, rule),
    fastify: (rule = {}) => fastifyPlugin(metering, rule),
    fetch: wrap,
    next: wrap,
    middy: (rule = {}) => middyMiddleware(metering, rule),
    verifyAuthorizer: (rule = {}) => authorizer(metering, rule, true),
    spendAuthorizer: (rule = {}) => authorizer(metering, rule, false),
    close,
  }
}

/** @throws TypeError in words: with a wrong address, `fetch` would fail for each request */
function baseOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username + url.password !== '')
    throw new TypeError(
      'The `url` of the meter is where Bursar answers, such as https://api.example.com, without a name and a password.',
    )
  return url.origin + url.pathname.replace(/\/+$/, '')
}

/** Codes of the meter's own refusals, of which metrics tell. Any other 503 is a mistake that somebody has to repair. */
const OWN_CODES = new Set(['unavailable', 'meter_closed'])

/** Any key of Bursar is shorter, and has no other characters. */
const KEY = /^[!-~]{1,256}$/
const SCOPE = /^[!-~]{1,64}$/
const TAG = SCOPE

/**
 * Refuses a key that cannot be one, without a call.
 * @throws RangeError for what the service itself has written wrongly, so that it fails alone and in its own tests
 */
function refusedUnsent({ key, units, tag, requires = [] }: SpendRequest): Refused | undefined {
  checkedUnits(units)
  if (tag !== undefined && !TAG.test(tag)) throw new RangeError('A tag has 1 to 64 visible ASCII characters.')
  if (!requires.every((scope) => SCOPE.test(scope)))
    throw new RangeError('A scope has 1 to 64 visible ASCII characters.')
  return KEY.test(key) ? undefined : { allowed: false, status: 401, code: 'unauthorized' }
}

// biome-ignore lint/suspicious/noConsole: a service that passes no `onProblem` must not miss units that it has lost
const warn = ({ code, detail }: MeterProblem): void => console.warn(`bursar/meter: ${code}. ${detail}`)
