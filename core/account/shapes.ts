import { bundleOf } from '../purchases/catalogue.ts'
import { renewalShape } from '../purchases/renewal.ts'
import type { Account } from './account.ts'

/** ISO 8601 in UTC with milliseconds, as all three seeds show dates. */
const iso = (atMs: number): string => new Date(atMs).toISOString()

/** The stored full name, or the username until one is given (product rule). */
export const fullName = (account: Account): string => account.name ?? account.username

const EMCP_STATUS = { pending: 1, active: 0, suspended: 1, deactivated: 2 } as const

/** EMCP's account (seed 000): `status` 0 active, 1 suspended, 2 deactivated; `balance` in dollars. */
export function emcpAccount(account: Account) {
  return {
    _id: account.id,
    email: account.email,
    name: fullName(account),
    createdAt: iso(account.createdAtMs),
    balance: account.balanceCents / 100,
    status: EMCP_STATUS[account.status],
    emailVerified: account.emailVerified,
  }
}

/**
 * GreenCloud's account (seed 002): the full name split at its last space, `surname` "" where there is none;
 * `address` and `bundle` null until there is one.
 */
export function greencloudAccount(account: Account, apiKey: string) {
  const name = fullName(account)
  const split = name.lastIndexOf(' ')
  return {
    id: account.id,
    email: account.email,
    name: split < 0 ? name : name.slice(0, split),
    surname: split < 0 ? '' : name.slice(split + 1),
    address: account.address ? greencloudAddress(account.address) : null,
    twofa: account.totp !== undefined,
    apiKey,
    bundle: greencloudBundle(account),
    renewal: renewalShape(account),
    flags: account.flags,
  }
}

/** `quota` is the units left, `price` in dollars. */
function greencloudBundle({ bundle, quota }: Account) {
  if (bundle === undefined) return null
  return { name: bundle, quota: quota?.left ?? 0, price: bundleOf(bundle).priceCents / 100 }
}

/** Made when it is first needed: it loads Node's tables of names, which takes longer than all of our code. */
let countryNames: Intl.DisplayNames | undefined

function countryName(code: string): string | undefined {
  countryNames ??= new Intl.DisplayNames(['en'], { type: 'region' })
  return countryNames.of(code)
}

/** The page takes the country as alpha-2 code and shows its English short name. */
function greencloudAddress({ company, district, country, ...rest }: NonNullable<Account['address']>) {
  return {
    ...rest,
    company: company ?? '',
    district: district ?? '',
    country: countryName(country) ?? country,
  }
}

/** Skylink's account in its envelope (seed 003): `allusage` is the units used over all application keys. */
export function skylinkAccount(account: Account) {
  const content = {
    allusage: account.quota?.used ?? 0,
    created: iso(account.createdAtMs),
    email: account.email,
    lastlogin: account.lastLoginAtMs === undefined ? null : iso(account.lastLoginAtMs),
    role: account.paid ? ('paid' as const) : ('free' as const),
    status: account.emailVerified ? ('verified' as const) : ('unverified' as const),
    type: account.customer?.defaultCardId === undefined ? ('invoice' as const) : ('card' as const),
    update: iso(account.updatedAtMs),
    username: account.username,
  }
  return { status: 1 as const, content }
}
