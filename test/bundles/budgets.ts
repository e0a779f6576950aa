import type { Deployed } from '../../functions/deploy/functions.ts'

/** The limits for a function's size and start time. */
export interface Budget {
  /** Kilobytes (1,024 bytes) that may be loaded before the first event. */
  initKb: number
  /** Kilobytes of the whole package, including code that is loaded later. */
  packageKb: number
  /** CPU time of a container until its first event, as a multiple of that of an empty handler. */
  ratio: number
}

export type FunctionClass = 'bare' | 'document' | 'usage' | 'table' | 'identityOrMail' | 'operator'

/**
 * The budget of each class. Raise a number only on purpose. `npm test` enforces the kilobytes, and
 * `npm run check` enforces the ratios too.
 *
 * A ratio leaves 4 % over the highest median that was seen on an idle machine, because medians of the same bundles differ
 * by as much from run to run.
 *
 * The ratio of `usage` leaves room for one garbage collection, which every start has. A start that fills the young
 * generation a second time takes 3 % more, and `bundles.test.ts` holds that none of this class does.
 */
export const budgets: Record<FunctionClass, Budget> = {
  bare: { initKb: 140, packageKb: 140, ratio: 1.3 },
  // The whole OpenAPI document: descriptions take 75 KB, schemas 95 KB, examples 25 KB. Each endpoint adds 3 KB.
  document: { initKb: 380, packageKb: 380, ratio: 1.35 },
  // A consume calls for the renewal of its bundle and starts it at once (2 KB), knows the settings and limits of its key,
  // shares its write with others of the process (12 KB), and knows two root secrets (1 KB).
  usage: { initKb: 93, packageKb: 93, ratio: 1.18 },
  // Audit log and events: 12 KB. The heaviest takes 1.43 to 1.50.
  table: { initKb: 230, packageKb: 640, ratio: 1.55 },
  // The heaviest takes 1.66 to 1.74.
  identityOrMail: { initKb: 400, packageKb: 750, ratio: 1.8 },
  // Rare, and no customer waits for them: an erasure takes 1.83 to 1.90.
  operator: { initKb: 400, packageKb: 750, ratio: 1.97 },
}

/** The class of a function, by the services that it needs. */
export function classOf({ name, needs, table }: Deployed): FunctionClass {
  if (name === 'http-openapi-document') return 'document'
  if (needs.includes('identity') || needs.includes('mail'))
    return name.startsWith('ops-') ? 'operator' : 'identityOrMail'
  if (!needs.includes('table')) return 'bare'
  return table === 'spend' ? 'usage' : 'table'
}

/** Packages that no function may load before its first event. */
export const lazyPackages = [
  '@simplewebauthn/server',
  'bcryptjs',
  'disposable-email-domains-js',
  'stripe',
  '@aws-sdk/client-kms',
  '@aws-sdk/client-sesv2',
  'bowser',
]

/** Packages that a bundle contains exactly if the condition holds for its function. */
export const neededBy: Record<string, (fn: Deployed) => boolean> = {
  '@aws-sdk/client-cognito-identity-provider': ({ needs }) => needs.includes('identity'),
  '@aws-sdk/client-dynamodb': ({ needs, kind }) =>
    needs.includes('table') && kind !== 'endpoint' && kind !== 'task',
  '@aws-sdk/client-kms': ({ needs }) => needs.includes('secrets'),
  '@aws-sdk/client-sesv2': ({ needs }) => needs.includes('mail'),
  '@simplewebauthn/server': ({ needs }) => needs.includes('passkeys'),
  'disposable-email-domains-js': ({ needs }) => needs.includes('mailDomains'),
  bcryptjs: ({ needs }) => needs.includes('passwordHashes'),
  otpauth: ({ needs }) => needs.includes('totp'),
  stripe: ({ needs }) => needs.includes('payments'),
}
