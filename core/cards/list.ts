import type { Account } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { keys } from '../table/keys.ts'
import { addressShape, stripeCustomer } from './customer.ts'
import { type Card, isLive, parseStoredCard } from './stored.ts'

/** The account's cards as Stripe lists them (EMCP, seed 000), newest first: one read, and no call to Stripe. */
export async function listCards(deps: Deps<'table'>, account: Account) {
  const items = await deps.table.list(keys.account(account.id), 'CARD#')
  const cards = items.map(parseStoredCard).filter(isLive)
  const newestFirst = cards.sort((a, b) => b.card.createdMs - a.card.createdMs)
  return {
    object: 'list' as const,
    data: newestFirst.map(({ card }) => paymentMethod(card)),
    has_more: false,
    url: `/v1/customers/${account.customer?.id ?? ''}/payment_methods`,
  }
}

/** @throws DomainError `not_found` until a first card has made a customer of the account. */
export function customerOf(account: Account) {
  if (!account.customer) throw new DomainError('not_found', { detail: 'No card was ever put on file.' })
  return stripeCustomer(account.customer)
}

const orNull = <T>(value: T | undefined): T | null => value ?? null

function paymentMethod(card: Card) {
  const { billing, networks } = card
  return {
    id: card.id,
    object: 'payment_method' as const,
    billing_details: {
      address: addressShape(billing.address),
      email: orNull(billing.email),
      name: orNull(billing.name),
      phone: orNull(billing.phone),
    },
    card: {
      brand: card.brand,
      checks: {
        address_line1_check: orNull(card.checks.line1),
        address_postal_code_check: orNull(card.checks.postalCode),
        cvc_check: orNull(card.checks.cvc),
      },
      country: orNull(card.country),
      exp_month: card.expMonth,
      exp_year: card.expYear,
      fingerprint: orNull(card.fingerprint),
      funding: card.funding,
      generated_from: null,
      last4: card.last4,
      networks: { available: networks?.available ?? [card.brand], preferred: orNull(networks?.preferred) },
      three_d_secure_usage: { supported: card.threeDSecureSupported },
      wallet: null,
    },
    created: Math.floor(card.createdMs / 1000),
    customer: orNull(card.customerId),
    livemode: card.livemode,
    metadata: {},
    type: 'card' as const,
  }
}
