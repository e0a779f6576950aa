/**
 * The seam between the meter and the ways to take units. `exact.ts` spends on the wire for each request (in groups);
 * a leased spender spends out of a block of units in its own memory. Adapters, give-back, telemetry and `fakeMeter` know
 * only these types, so a spender is one function `(tools: SpenderTools, …) => Spender` and one row in `spenders` of
 * `meter.ts`.
 *
 * What every spender keeps:
 * - `spend` and `reserve` never reject and never throw: whatever happens is a decision. A spender that can decide in
 *   memory returns the decision itself instead of a promise; callers `await` either.
 * - A request is allowed at most once per unit: what may have been taken without being served is kept for the customer
 *   (`giveBack`), never dropped silently, and never served twice.
 * - After `close` every request is refused with 503 `meter_closed`, and nothing that was allowed is lost: calls under way
 *   are awaited, and what could not be told to Bursar is in the journal.
 */
export interface Spender {
  spend(request: SpendRequest): Decision | Promise<Decision>
  /** The work that `allowed` paid for has failed: its units belong to the customer again. At most once per decision. */
  giveBack(request: SpendRequest, allowed: Allowed): void
  /** Takes units for work whose cost is known afterwards. */
  reserve(request: SpendRequest, ttlSeconds: number): Reserved | Promise<Reserved>
  /** Flushes what is under way, and gives back what this process holds. */
  close(): Promise<void>
}

/** Units that a customer's request takes. */
export interface SpendRequest {
  /** The customer's application key as text. */
  key: string
  /** 0 to 1,000,000,000. 0 is a check, which spends and records nothing. */
  units: number
  /** 1 to 64 visible ASCII characters, for the customer's report of what the units were used for. */
  tag?: string | undefined
  /** Scopes that the key must have. */
  requires?: readonly string[] | undefined
  /** The customer's network address, for keys with an allow list. Only sent with a service credential. */
  ip?: string | undefined
  /** Set only to repeat an earlier request. Never a value that the customer chose: its repeats would be served for nothing. */
  requestId?: string | undefined
}

/** Who spends, and what is left afterwards. Members are absent where Bursar has not answered, or does not tell. */
export interface Balance {
  left?: number
  used?: number
  account?: string
  key?: {
    id: string
    name?: string | undefined
    scopes?: readonly string[] | undefined
    metadata?: Readonly<Record<string, unknown>> | undefined
  }
  /** Units that the key's own budget leaves; null without a budget. */
  keyLeft?: number | null | undefined
  /** Fields `RateLimit` and `RateLimit-Policy` of a key with a rate. */
  rateLimit?: string
  rateLimitPolicy?: string
}

export interface Allowed extends Balance {
  allowed: true
  /** Under which the units were taken; absent where they were taken in memory. */
  requestId?: string
  /** Set where Bursar did not answer and `onUnavailable: 'allow'` lets the request pass: its units are journalled. */
  unavailable?: true
  /**
   * An earlier request with this id has taken the units: a first try whose answer was late, failed work, or a request of the
   * caller's own `requestId`. A caller that names ids serves each once.
   */
  replayed?: true
}

export interface Refused extends Balance {
  allowed: false
  status: 401 | 402 | 403 | 429 | 503
  /** Bursar's code, such as `quota_exhausted`; `unavailable`, `meter_closed`, `key_missing` are the meter's own. */
  code: string
  /** Bursar's explanation, in words for a programmer of the service. */
  detail?: string
  retryAfterSeconds?: number
  /** Units of the request, with a 402. */
  needed?: number
  /** The path of Bursar's API with which the owner gets more units, with a 402. */
  refill?: string
  /** Set if the units may have been taken all the same, because no answer came. They pay for a later request. */
  unknown?: true
}

export type Decision = Allowed | Refused

/** A reservation, or why there is none. */
export type Reserved = Refused | (Allowed & Reservation)

export interface Reservation {
  /** Units that are held. */
  units: number
  /**
   * Keeps `units` as used and returns the rest; 0 gives everything back. Only the first call counts, later ones get its
   * answer. What Bursar does not confirm is journalled and told to it later. @throws RangeError for what is no number of
   * units; the reservation is then still open, and nothing else rejects
   */
  settle(units: number): Promise<Settled>
}

export interface Settled extends Balance {
  /** Units of the used ones that are paid for; undefined until Bursar has confirmed. */
  covered?: number
}

/** What the meter gives to every spender. */
export interface SpenderTools {
  call: Call
  clock: Clock
  /** A UUIDv7 of now. */
  newId(): string
  /** There is a service credential, so one batch may carry many customers. */
  byService: boolean
  /** How long a request may wait for Bursar, ms. */
  timeoutMs: number
  journal: Ledger
  measure: Measure
}

/** One request to Bursar, sent at most twice under the same ids. */
export interface WireRequest {
  /** Of a POST: `/v1/usage` */
  path: string
  /** The customer's key. Undefined for a batch of a service, whose requests name their customers themselves. */
  key: string | undefined
  /** The customer's address, which only a service tells. */
  ip?: string | undefined
  body: unknown
  /** When the caller gives up, on the clock of `Clock.nowMs`. */
  deadlineMs: number
  /** Called when the first try has not answered in time, so that others need not wait behind it. */
  onSlow?: () => void
}

/** Bursar's answer; undefined if none came that can be understood, so that nobody knows what happened. */
export type Call = (request: WireRequest) => Promise<WireAnswer | undefined>

export interface WireAnswer {
  status: number
  /** Parsed JSON. */
  body: Record<string, unknown>
  /** The code of a problem, such as `quota_exhausted`. */
  code?: string
  retryAfterSeconds?: number
  rateLimit?: string
  rateLimitPolicy?: string
}

/** The time, and timers. */
export interface Clock {
  /** Epoch ms. */
  nowMs(): number
  /**
   * @param keepsAlive for a timer that somebody waits for; others do not keep the process alive
   * @returns what cancels the timer
   */
  after(ms: number, work: () => void, keepsAlive?: true): () => void
}

/** What has happened without Bursar having confirmed it: entries are told to Bursar, with their ids, until it answers. */
export interface Ledger {
  /** Settles when the entries of an earlier process are known. Never rejects. */
  ready: Promise<void>
  /** @throws what the store throws. The entry is then not kept. */
  add(entry: JournalEntry): Promise<void>
  /** Something was answered, so the entries can be told now. */
  answered(): void
  /** Units of `spend` entries that Bursar has not confirmed. */
  openUnits(): number
}

/** Units of a lease that were used for one purpose. */
export interface LeaseUse {
  tag?: string
  units: number
}

/**
 * Spent units, or the end of a reservation or a lease, that Bursar has not confirmed. Holds the customer's key: keep it
 * secret.
 */
export interface JournalEntry {
  kind: 'spend' | 'settle' | 'return'
  /** The request id under which Bursar is told, however often. */
  id: string
  key: string
  units: number
  tag?: string | undefined
  /** The customer's address, where the request had one. */
  ip?: string | undefined
  /** Of a `settle`. */
  reservationId?: string
  /** Of a `return`, whose `units` are those of its `use`. */
  leaseId?: string
  use?: readonly LeaseUse[]
  /** Epoch ms. */
  atMs: number
}

/** Counts for telemetry, by name; see `telemetry.ts`. */
export type Measure = (name: MeasureName, value: number, attributes?: Record<string, string | number>) => void
export type MeasureName = 'batch' | 'hedge' | 'no_answer' | 'allowed_unavailable' | 'uncollected'
