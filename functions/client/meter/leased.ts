import { CLOSED } from './exact.ts'
import {
  beginLease,
  type Customer,
  endLease,
  FIRST,
  isSmall,
  type Lease,
  type LeaseDesk,
  renewLease,
  spendable,
} from './lease-requests.ts'
import type { Allowed, Decision, Spender, SpenderTools, SpendRequest } from './spender.ts'

/** How a process holds units of a customer. */
export interface LeaseOptions {
  /**
   * Most units of a customer that this process holds at once, 10,000 by default: what is at stake if it dies. A lease
   * follows the customer's use, and lasts for about ten seconds of it.
   */
  units?: number
  /** How long a lease lives without being renewed, 60 seconds by default: 5 to 3,600. */
  ttlSeconds?: number
  /**
   * What becomes of units that a process had spent and not reported when it died. `return`, the default: they return to
   * the customer, and the operator has served them for nothing. `charge`: the whole lease counts as used.
   */
  unreported?: 'return' | 'charge'
  /** A clock in milliseconds that is never set. For tests. */
  monotonicMs?: () => number
}

/** Spends of a customer within a second from which on a lease is worth its cost. */
const WARM = 4
const WINDOW_MS = 1_000
/** Most customers that are remembered without a lease. */
const MOST_COLD = 10_000

/**
 * Spends a customer's units in memory, out of a lease that Bursar has taken off the balance, and reports what was used
 * when it renews the lease. A customer with little use, or with little left, is served by the exact spender.
 *
 * - One request about a customer's lease is under way at a time. One without an answer is sent again, with the same body
 *   under the same id, so it takes effect once.
 * - A lease is spent until shortly before its expiry, by the larger of two clocks' distances from the moment before its
 *   request was sent. What could not be reported by then is reported late, by the journal.
 * - A key that is revoked or blocked is served until its lease is renewed, at most a third of the lease's life.
 */
export function leasedSpender(exact: Spender, tools: SpenderTools, options: LeaseOptions = {}): Spender {
  const { clock } = tools
  const { units = 10_000, ttlSeconds = 60, unreported = 'return' } = options
  const { monotonicMs = () => performance.now() } = options
  const customers = openCustomers()
  let isClosed = false
  const desk: LeaseDesk = {
    tools,
    terms: { units, ttlSeconds, unreported },
    steadyMs: monotonicMs,
    now: () => ({ wallMs: clock.nowMs(), steadyMs: monotonicMs() }),
    isClosed: () => isClosed,
  }
  const { take, takeAfter, warmUp } = openHolder(desk, exact)

  return {
    spend(request) {
      if (isClosed) return CLOSED
      // Bursar has to know a repeat and a check, and it alone can tell whether an address may use the key.
      if (request.units === 0 || request.requestId !== undefined || request.ip !== undefined)
        return exact.spend(request)
      const customer = customers.of(request.key)
      const { lease } = customer
      if (lease !== undefined && !hasScopes(lease, request)) return exact.spend(request)
      if (lease === undefined && customer.credit >= request.units)
        return payByCredit(exact, customer, request)
      const decision = take(customer, request)
      if (decision !== undefined) return decision
      return lease === undefined ? warmUp(customer, request) : takeAfter(customer, request)
    },
    giveBack(request, allowed) {
      if (allowed.requestId !== undefined || allowed.unavailable) return exact.giveBack(request, allowed)
      const customer = customers.of(request.key)
      const { lease } = customer
      const used = lease?.use.get(request.tag) ?? 0
      if (lease === undefined || used < request.units) {
        customer.credit += request.units
        return
      }
      lease.use.set(request.tag, used - request.units)
      lease.remaining += request.units
    },
    reserve: (request, seconds) => (isClosed ? CLOSED : exact.reserve(request, seconds)),
    async close() {
      isClosed = true
      await Promise.all(
        customers.all().map(async (customer) => {
          customer.cancelTimer?.()
          await customer.busy
          await endLease(desk, customer)
        }),
      )
      await exact.close()
    },
  }
}

/** The ways to take units of a customer from its lease, or to get it one. */
function openHolder(desk: LeaseDesk, exact: Spender) {
  const { steadyMs } = desk
  const { clock } = desk.tools
  const ttlMs = desk.terms.ttlSeconds * 1000
  /** A lease is not spent in the last part of its life, so that a last report comes in time. */
  const liveMs = ttlMs - Math.max(1_000, Math.min(5_000, ttlMs / 4))

  /** @returns undefined if this process has too few units of the customer */
  function take(customer: Customer, request: SpendRequest): Decision | undefined {
    const { lease } = customer
    if (customer.credit >= request.units) {
      customer.credit -= request.units
      return { allowed: true, ...lease?.told }
    }
    if (lease === undefined || lease.remaining < request.units) return undefined
    if (Math.max(steadyMs() - lease.since.steadyMs, clock.nowMs() - lease.since.wallMs) >= liveMs)
      return undefined
    lease.remaining -= request.units
    lease.use.set(request.tag, (lease.use.get(request.tag) ?? 0) + request.units)
    if (lease.remaining * 2 < lease.granted) void renew(customer)
    const { left = 0, keyLeft, account, key } = lease.told
    // Copies of `told` would take most of the time of a spend.
    const decision = { allowed: true, left: left + lease.remaining, account, key } as Allowed
    if (typeof keyLeft === 'number') decision.keyLeft = keyLeft + lease.remaining
    return decision
  }

  /** One request about the customer's lease at a time. Afterwards, a timer renews a lease with use and ends one without. */
  function once(customer: Customer, work: () => Promise<void>): Promise<void> {
    customer.busy ??= work().finally(() => {
      customer.busy = undefined
      customer.cancelTimer?.()
      const { lease } = customer
      if (lease === undefined || desk.isClosed()) return
      customer.cancelTimer = clock.after(liveMs / 3, () => {
        void (lease.use.size === 0 ? once(customer, () => endLease(desk, customer)) : renew(customer))
      })
    })
    return customer.busy
  }

  const renew = (customer: Customer, needed = 0) => once(customer, () => renewLease(desk, customer, needed))

  /** Waits for units, but no longer than a request may. */
  async function takeAfter(customer: Customer, request: SpendRequest): Promise<Decision> {
    const late = deadline(desk.tools)
    const steps = [
      // The request under way may have begun before this one was known.
      () => customer.busy,
      () => renew(customer, request.units),
      // What this process holds is part of what is left.
      () => once(customer, () => endLease(desk, customer)),
    ]
    for (const step of steps) {
      await Promise.race([step(), late.passed])
      const decision = desk.isClosed() ? CLOSED : take(customer, request)
      if (decision !== undefined) {
        late.cancel()
        return decision
      }
    }
    late.cancel()
    return exact.spend(request)
  }

  /** Serves exactly, and takes a lease once the customer has enough use. */
  async function warmUp(customer: Customer, request: SpendRequest): Promise<Decision> {
    const nowMs = clock.nowMs()
    if (nowMs - customer.windowMs >= WINDOW_MS || nowMs < customer.windowMs) {
      customer.windowMs = nowMs
      customer.spends = 0
    }
    customer.spends += 1
    const isWarm = customer.spends >= WARM && nowMs >= customer.exactUntilMs
    if (isWarm && customer.busy === undefined && !isSmall(desk, customer))
      void once(customer, () => beginLease(desk, customer))
    const decision = await exact.spend(request)
    if (customer.lease === undefined) customer.left = spendable(decision) ?? customer.left
    return decision
  }

  return { take, takeAfter, warmUp }
}

/**
 * Serves a customer without a lease for units that an earlier request has paid. Nobody knows then whether the key still
 * works and has the scopes, so Bursar is asked, which spends nothing.
 */
async function payByCredit(exact: Spender, customer: Customer, request: SpendRequest): Promise<Decision> {
  customer.credit -= request.units
  const { unavailable: _, ...decision } = (await exact.spend({ ...request, units: 0 })) as Allowed
  if (!decision.allowed) customer.credit += request.units
  return decision as Decision
}

/** Scopes that Bursar has not told are left to it. */
const hasScopes = ({ told }: Lease, { requires = [] }: SpendRequest): boolean =>
  requires.every((scope) => told.key?.scopes?.includes(scope))

/** The moment at which a request has waited long enough. */
function deadline({ clock, timeoutMs }: SpenderTools) {
  let cancel = () => {}
  const passed = new Promise<void>((resolve) => {
    cancel = clock.after(timeoutMs, resolve)
  })
  return { passed, cancel: () => cancel() }
}

/** The customers that this process knows. One without a lease is forgotten when there are too many. */
function openCustomers() {
  const customers = new Map<string, Customer>()
  function dropOne(): void {
    for (const [name, { lease, busy, credit }] of customers) {
      if (lease !== undefined || busy !== undefined || credit > 0) continue
      customers.delete(name)
      return
    }
  }
  return {
    of(key: string): Customer {
      const known = customers.get(key)
      if (known !== undefined) return known
      if (customers.size >= MOST_COLD) dropOne()
      const customer = { key, credit: 0, size: FIRST, spends: 0, windowMs: 0, exactUntilMs: 0 }
      customers.set(key, customer)
      return customer
    },
    all: (): Customer[] => [...customers.values()],
  }
}
