import { DomainError } from '../errors.ts'
import { announce } from '../events/outbox.ts'
import { priceText } from '../notifications/amounts.ts'
import type { Deps } from '../ports.ts'
import { CURRENCY } from '../purchases/catalogue.ts'
import {
  type Booked,
  bookOperatorChange,
  type OperatedAccount,
  type OperatorRequest,
} from './operator-entries.ts'

/*
 * The balance says what is between customer and operator in money. Below zero it is what the customer owes for units
 * that were spent before a refund or dispute. Above zero it is money that operators have credited, such as one that came
 * by bank transfer: no purchase spends it, because a card is charged the whole price or nothing. It is paid out outside
 * of Bursar, and then debited here; or units are granted for it.
 */

/** An amount of money of an operator's request. */
export interface BalanceOrder extends OperatorRequest {
  /** At least 1, in the minor unit of the catalogue's currency. */
  amountCents: number
}

/**
 * An operator puts money on the balance. It settles no units that the account owes.
 * @throws DomainError `not_found`, `idempotency_key_reused`, `temporarily_unavailable`
 */
export const creditBalance = (deps: Deps<'table'>, accountId: string, order: BalanceOrder): Promise<Booked> =>
  changeBalance(deps, accountId, order, {
    kind: 'credit',
    action: 'operator.credited',
    sign: 1,
    text: (amount) => `We credited ${amount} to your account.`,
  })

/**
 * An operator takes money off the balance, at most what operators have put on it: no debit makes a debt.
 * @throws DomainError `too_little_credit` with the credit that there is, `not_found`, `idempotency_key_reused`,
 *   `temporarily_unavailable`
 */
export const debitBalance = (deps: Deps<'table'>, accountId: string, order: BalanceOrder): Promise<Booked> =>
  changeBalance(deps, accountId, order, {
    kind: 'debit',
    action: 'operator.debited',
    sign: -1,
    text: (amount) => `We took ${amount} off the credit of your account.`,
  })

interface BalanceChange {
  kind: 'credit' | 'debit'
  action: 'operator.credited' | 'operator.debited'
  sign: 1 | -1
  text(amount: string): string
}

function changeBalance(
  deps: Deps<'table'>,
  accountId: string,
  { amountCents, ...request }: BalanceOrder,
  { kind, action, sign, text }: BalanceChange,
): Promise<Booked> {
  const content = [kind, amountCents, request.reason]
  const signedCents = sign * amountCents
  return bookOperatorChange(
    deps,
    accountId,
    { ...request, action, content },
    ({ owed, balanceCents, creditCents = 0 }: OperatedAccount) => {
      if (creditCents + signedCents < 0)
        throw new DomainError('too_little_credit', { members: { creditCents } })
      const balance = { amountCents: signedCents, balanceCents: balanceCents + signedCents }
      return {
        entries: [{ kind, units: 0, amountCents: signedCents, currency: CURRENCY }],
        owed,
        creditCents: creditCents + signedCents,
        writes: [],
        announce: (seq) =>
          announce(deps, accountId, 'balance.changed', { seq, ...balance, currency: CURRENCY }),
        notice: { messageType: 'balance_changed', text: text(priceText(amountCents)) },
      }
    },
  )
}
