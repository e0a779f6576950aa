import type { Account } from '../../core/account/account.ts'
import type { AccountOverview } from '../../core/account/overview.ts'
import type { RenewalStatus } from '../../core/purchases/renewal.ts'
import { amountOf } from './money-shapes.ts'
import { shownBelow } from './renewal-shapes.ts'
import { isoTime, timeOrNull } from './time-shapes.ts'

/** The account as each of the three dialects shows it. */

const EMCP_STATUS = { pending: 1, active: 0, suspended: 1, deactivated: 2, erased: 2 } as const

/** EMCP's account: `status` 0 active, 1 suspended, 2 deactivated; `name` the display name. */
export const emcpAccount = (account: Account, name: string, currency: string) => ({
  _id: account.id,
  email: account.email,
  name,
  createdAt: isoTime(account.createdAtMs),
  balance: amountOf(account.balanceCents, currency),
  status: EMCP_STATUS[account.status],
  emailVerified: account.emailVerified,
})

/**
 * GreenCloud's account. The display name is split at its last space; without a space `surname` is "".
 * `address` and `bundle` are null until the account has one, and `emailUndeliverable` is there only if it is true.
 */
export function greencloudAccount(account: AccountOverview, username: string) {
  const {
    id,
    email,
    isEmailUndeliverable,
    pendingEmail,
    displayName,
    address,
    usage,
    bundle,
    currency,
    flags,
  } = account
  const split = displayName.lastIndexOf(' ')
  return {
    id,
    username,
    email,
    ...(isEmailUndeliverable && { emailUndeliverable: true as const }),
    pendingEmail,
    name: split < 0 ? displayName : displayName.slice(0, split),
    surname: split < 0 ? '' : displayName.slice(split + 1),
    address: address ? greencloudAddress(address) : null,
    twofa: account.hasTwoFactor,
    ...(account.recoveryFinishesAtMs !== undefined && {
      recovery: { finishesAt: isoTime(account.recoveryFinishesAtMs) },
    }),
    apiKey: account.defaultKey,
    usage,
    bundle: bundle
      ? { name: bundle.name, quota: bundle.unitsLeft, price: amountOrNull(bundle.priceCents, currency) }
      : null,
    renewal: greencloudRenewal(account.renewal, currency),
    flags,
    alerts: account.alerts.map(({ below, armed }) => ({ below: shownBelow(below), armed })),
  }
}

const amountOrNull = (cents: number | undefined, currency: string): number | null =>
  cents === undefined ? null : amountOf(cents, currency)

const greencloudRenewal = (renewal: RenewalStatus, currency: string) => ({
  state: renewal.state,
  reason: renewal.reason ?? null,
  nextAttemptAt: timeOrNull(renewal.nextAttemptAtMs),
  monthlyCap: amountOrNull(renewal.monthlyCapCents, currency),
  maxPerHour: renewal.maxPerHour,
  maxPerDay: renewal.maxPerDay,
  below: shownBelow(renewal.below),
  bundle: renewal.bundle ?? null,
})

/** GreenCloud takes the country as an alpha-2 code and shows its English short name. */
function greencloudAddress({
  company,
  street2: _,
  district,
  country,
  ...rest
}: NonNullable<Account['address']>) {
  return {
    ...rest,
    company: company ?? '',
    district: district ?? '',
    country: countryName(country) ?? country,
  }
}

/**
 * Created at the first use, because this loads Node's tables of names, which takes more time than
 * all of our code.
 */
let countryNames: Intl.DisplayNames | undefined

function countryName(code: string): string | undefined {
  countryNames ??= new Intl.DisplayNames(['en'], { type: 'region' })
  return countryNames.of(code)
}

/** Skylink's account in its envelope: `allusage` is the units used over all application keys. */
export function skylinkAccount(account: Account) {
  const { lastLoginAtMs } = account
  const content = {
    allusage: account.quota?.used ?? 0,
    created: isoTime(account.createdAtMs),
    email: account.email,
    lastlogin: timeOrNull(lastLoginAtMs),
    role: account.paid ? ('paid' as const) : ('free' as const),
    status: account.emailVerified ? ('verified' as const) : ('unverified' as const),
    type: account.customer?.defaultCardId === undefined ? ('invoice' as const) : ('card' as const),
    update: isoTime(account.updatedAtMs),
    username: account.username,
  }
  return { status: 1 as const, content }
}

/** An account that was deleted. @param eraseAtMs when its data is erased, epoch ms. */
export const deletedAccount = (eraseAtMs: number) => ({
  status: 'deleted' as const,
  eraseAt: isoTime(eraseAtMs),
})
