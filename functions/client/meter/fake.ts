import type { Allowed, Refused, Reserved, Settled, Spender, SpendRequest } from './spender.ts'

/** A customer's key in the fake. */
export interface FakeKey {
  units: number
  scopes?: readonly string[]
}

/** Units that the fake has taken and kept. */
export interface FakeSpend {
  key: string
  units: number
  tag?: string
}

/** What a test sets and reads. */
export interface FakeControls {
  /** What was taken and kept so far, oldest first; given back units are not in it. */
  spends: FakeSpend[]
  /** Gives a key so many units, and makes the key if there is none. */
  setUnits(key: string, units: number, scopes?: readonly string[]): void
  /** Units left; 0 for an unknown key. */
  left(key: string): number
  /** Until `recover`, every request is refused so: `{status: 503}` stands for an outage, 429 for a rate. */
  refuseAll(refusal: { status: Refused['status']; code?: string; retryAfterSeconds?: number }): void
  recover(): void
}

const CODES = {
  401: 'unauthorized',
  402: 'quota_exhausted',
  403: 'insufficient_scope',
  429: 'rate_limited',
  503: 'unavailable',
} as const

/**
 * A spender in memory that keeps the rules of the real one, without a network. Units that are given back return at once, so
 * that a test can read them; the real meter keeps them for the customer's next request.
 */
export function fakeSpender(keys: Readonly<Record<string, number | FakeKey>>): Spender & FakeControls {
  const accounts = openAccounts(keys)
  const { spends, balances, setUnits } = accounts
  let refusal: Refused | undefined

  function take(request: SpendRequest): Allowed | Refused {
    return refusal ?? accounts.take(request)
  }

  return {
    spends,
    setUnits,
    left: (key) => balances.get(key)?.left ?? 0,
    refuseAll({ status, code = CODES[status], ...more }) {
      refusal = refuse(status, { code, ...more })
    },
    recover() {
      refusal = undefined
    },
    spend: take,
    giveBack(request) {
      const at = spends.findLastIndex(
        ({ key, units, tag }) => key === request.key && units === request.units && tag === request.tag,
      )
      const spend = spends[at]
      if (spend) accounts.settle(spend, 0)
    },
    reserve(request): Reserved {
      const count = spends.length
      const decision = take(request)
      if (!decision.allowed) return decision
      const spend = spends[count]
      let settled: Settled | undefined
      return {
        ...decision,
        units: request.units,
        async settle(units) {
          settled ??= spend ? accounts.settle(spend, units) : {}
          return settled
        },
      }
    },
    async close() {
      refusal = refuse(503, { code: 'meter_closed' })
    },
  }
}

const refuse = (status: Refused['status'], more: Partial<Refused> = {}): Refused => ({
  allowed: false,
  status,
  code: CODES[status],
  ...more,
})

function openAccounts(keys: Readonly<Record<string, number | FakeKey>>) {
  const balances = new Map<string, { left: number; used: number; scopes: readonly string[] }>()
  const spends: FakeSpend[] = []
  /** Customers with their ids that are spent. */
  const spent = new Set<string>()
  let made = 0

  function setUnits(key: string, units: number, scopes = balances.get(key)?.scopes ?? []): void {
    balances.set(key, { left: units, used: balances.get(key)?.used ?? 0, scopes })
  }
  for (const [key, value] of Object.entries(keys)) {
    if (typeof value === 'number') setUnits(key, value)
    else setUnits(key, value.units, value.scopes)
  }

  function take({ key, units, tag, requires = [], requestId }: SpendRequest): Allowed | Refused {
    const balance = balances.get(key)
    if (balance === undefined) return refuse(401)
    const { left, used, scopes } = balance
    if (!requires.every((scope) => scopes.includes(scope))) return refuse(403)
    made += 1
    const id = requestId ?? `fake-${made}`
    const isReplay = spent.has(JSON.stringify([key, id]))
    if (!isReplay && units > left) return refuse(402, { left, used, needed: units })
    if (!isReplay && units > 0) {
      spent.add(JSON.stringify([key, id]))
      balance.left -= units
      balance.used += units
      spends.push({ key, units, ...(tag !== undefined && { tag }) })
    }
    const shown = { left: balance.left, used: balance.used, account: 'fake', key: { id: key, scopes } }
    return { allowed: true, ...shown, ...(units > 0 && { requestId: id }) }
  }

  /** Changes what a spend has taken, as far as units are left. */
  function settle(spend: FakeSpend, units: number): Settled {
    const balance = balances.get(spend.key)
    const covered = Math.min(units, spend.units + (balance?.left ?? 0))
    if (balance) {
      balance.left += spend.units - covered
      balance.used -= spend.units - covered
    }
    spend.units = covered
    if (covered === 0) spends.splice(spends.indexOf(spend) >>> 0, 1)
    return { covered, left: balance?.left ?? 0 }
  }

  return { balances, spends, setUnits, take, settle }
}
