import type { Account, Profile } from '../account/account.ts'
import type { Deps } from '../ports.ts'
import { type Expression, expr } from '../table/expression.ts'
import { digestOf } from '../table/request-key.ts'
import { DAY_MS, MINUTE_MS } from '../time.ts'
import type { Hold } from './hold.ts'
import { isLiveCard } from './stored.ts'
import { readStoredCard } from './sync.ts'

/**
 * For this long a request to prove the card that was proved last is answered as before, and holds nothing. A
 * change is recognised for as long as another one is refused.
 */
const PROOF_MS = { verify: 10 * MINUTE_MS, change: DAY_MS }

interface ProofRequest {
  purpose: Hold['purpose']
  /** The payment method as requested. */
  cardId: string
  address?: Profile['address']
}

/** The stored address may have its fields in another order, and no field that is undefined. */
function proofDigest({ purpose, cardId, address }: ProofRequest): string {
  const fields = Object.entries(address ?? {}).filter(([, value]) => value !== undefined)
  return digestOf([purpose, cardId, fields.sort(([a], [b]) => (a < b ? -1 : 1))])
}

/** Records in the profile which request has proved a card last. */
export const lastProof = (deps: Deps, { purpose, asked, cardId, address }: Hold): Expression =>
  expr`#lastProof = ${{ request: proofDigest({ purpose, cardId: asked, address }), cardId, atMs: deps.clock.nowMs() }}`

/** Whether the request repeats the last that has proved a card, and the card is still good. */
export async function wasProved(
  deps: Deps<'table'>,
  account: Account,
  input: ProofRequest,
): Promise<boolean> {
  const { id, lastProof: last } = account
  if (last?.request !== proofDigest(input) || deps.clock.nowMs() - last.atMs >= PROOF_MS[input.purpose])
    return false
  const stored = await readStoredCard(deps, id, last.cardId)
  return isLiveCard(stored) && !stored.declined
}
