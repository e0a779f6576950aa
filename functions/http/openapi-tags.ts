import type { RouteKey } from './route.ts'

/** The nouns by which the documents group their operations. The first whose paths match a route has it. */
const NOUNS = [
  {
    name: 'Keys',
    description: 'Application keys, and the credentials of services and programs.',
    paths: /\/keys\b|\/admin-keys\b|\/services\b|^\/rest\/apps\b/,
  },
  {
    name: 'Usage',
    description: 'Spending units: requests, batches, reservations and leases, and what was used.',
    paths: /^\/v1\/usage\b|\/(grant|take|quota|quotas\/default)$/,
  },
  {
    name: 'Invoices',
    description: 'Payments, their receipts and refunds, and the statement.',
    paths: /\/invoices?\b|\/ledger$|\/billing|\/(credit|debit|refund|reconcile)$/,
  },
  {
    name: 'Cards',
    description: 'Cards on file, which Stripe keeps.',
    paths: /payment|\/card\/?$|\/retrieve$/,
  },
  {
    name: 'Bundles',
    description: 'Bundles of units: buying, refilling, renewing, and what is on sale.',
    paths: /\/bundle\b|\/buy$|\/purchase\/|\/renewal\b|\/(flags|alerts)$|\/(plans|coupons)\b/,
  },
  {
    name: 'Sign-in',
    description: 'Registration, sessions, codes, two-factor authentication, passkeys and recovery.',
    paths: /^\/v1\/auth\/|\/resetPassword$|^\/rest\/users\/?$/,
  },
  {
    name: 'Account',
    description: 'Accounts: profile, password, notices, activity, export and deletion.',
    paths: /\/users?\b|\/accounts?\b|\/find$/,
  },
  {
    name: 'Operator',
    description: 'The deployment itself: its health, its documents, its operators, its events and totals.',
    paths: /^/,
  },
] as const

export const tagOf = (key: RouteKey): string => {
  const [, path = ''] = key.split(' ')
  return NOUNS.find(({ paths }) => paths.test(path))?.name ?? 'Operator'
}

/** The tags of a document with these operations, the way into an account first. */
export function tagsOf(used: ReadonlySet<string>) {
  const order = ['Sign-in', 'Account', 'Cards', 'Bundles', 'Usage', 'Keys', 'Invoices', 'Operator']
  const tags = NOUNS.map(({ name, description }) => ({ name, description }))
  return tags
    .filter(({ name }) => used.has(name))
    .sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name))
}
