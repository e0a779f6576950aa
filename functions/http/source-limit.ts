import { countEvent, type Limited, type LimitState } from '../../core/limits/limits.ts'
import { networkOf } from '../../core/limits/network.ts'
import { live } from './live.ts'
import { type Guard, guardsOf, type Row } from './route.ts'

/** The limit of a network address for each guard. */
const LIMITS: Record<Guard, Limited> = {
  password: 'passwords-from',
  code: 'codes-from',
  card: 'cards-from',
  mail: 'mails-from',
  vault: 'vault-from',
  signup: 'sign-ups-from',
}

/**
 * Counts a request by the network address that it comes from, in one write, for what its row guards and for a proof in
 * its headers. The address is not stored and not logged. Bundles of rows that guard nothing leave this function out.
 * @returns where the address stands with each limit; nothing for a request that costs and tries nothing
 */
export async function limitSource(
  row: Pick<Row, 'guards' | 'proof'>,
  headers: Readonly<Record<string, string | undefined>>,
  address: string,
): Promise<LimitState[]> {
  const bringsProof = headers['x-proof-password'] !== undefined || headers['x-proof-code'] !== undefined
  const guards = bringsProof ? guardsOf(row) : (row.guards ?? [])
  const [first, ...others] = guards.map((guard) => LIMITS[guard])
  if (!first) return []
  const deps = await live(['table', 'keyring'])
  const nowMs = deps.clock.nowMs()
  const network = networkOf(address)
  const known = refusals.get(network)?.filter(({ endsMs }) => endsMs > nowMs) ?? []
  const again = known.filter(({ what }) => [first, ...others].includes(what))
  if (again.length > 0)
    return again.map((state) => ({ ...state, resetSeconds: Math.ceil((state.endsMs - nowMs) / 1000) }))
  const states = await countEvent(deps, network, first, ...others)
  const full = states.filter(({ isFull }) => isFull)
  if (full.length > 0) {
    if (refusals.size >= MOST_REFUSALS) refusals.clear()
    refusals.set(network, [...known, ...full])
  }
  return states
}

/** Networks whose refusal this container remembers. */
const MOST_REFUSALS = 1_000

/**
 * What each network was refused. It stays refused until the window ends, so this container need not ask the table again: a
 * flood from one address costs no more writes than its limit allows.
 */
export const refusals = new Map<string, LimitState[]>()
