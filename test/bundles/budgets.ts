import type { Deployed } from '../../functions/deploy/functions.ts'

/** What a function may weigh and how long it may take to start. */
export interface Budget {
  /** Kilobytes (1,024 bytes) that are loaded before the first event. */
  initKb: number
  /** Kilobytes of the whole package: also what loads with a later call. */
  packageKb: number
  /** CPU time of a container until its first event, as a multiple of one whose handler is empty. */
  ratio: number
}

export type FunctionClass = 'bare' | 'document' | 'usage' | 'table' | 'identityOrMail'

/**
 * The budget of each class. A number here is raised on purpose or not at all: `npm test` holds the kilobytes,
 * `npm run check` the ratios too.
 */
export const budgets: Record<FunctionClass, Budget> = {
  bare: { initKb: 140, packageKb: 140, ratio: 1.3 },
  // The whole OpenAPI document, whose descriptions take 30 KB.
  document: { initKb: 175, packageKb: 175, ratio: 1.3 },
  usage: { initKb: 60, packageKb: 60, ratio: 1.15 },
  table: { initKb: 230, packageKb: 600, ratio: 1.45 },
  identityOrMail: { initKb: 400, packageKb: 750, ratio: 1.7 },
}

/** The OpenAPI document, nothing outside, consuming with an application key, the table alone, or Cognito or SES besides. */
export function classOf({ name, needs, table }: Deployed): FunctionClass {
  if (name === 'http-openapi-document') return 'document'
  if (needs.includes('identity') || needs.includes('mail')) return 'identityOrMail'
  if (!needs.includes('table')) return 'bare'
  return table === 'spend' ? 'usage' : 'table'
}

/** Packages that no function may load before its first event. */
export const lazyPackages = ['stripe', '@aws-sdk/client-kms', '@aws-sdk/client-sesv2', 'bowser']

/** Packages that a bundle carries when this holds of its function, and else does not. */
export const neededBy: Record<string, (fn: Deployed) => boolean> = {
  '@aws-sdk/client-cognito-identity-provider': ({ needs }) => needs.includes('identity'),
  '@aws-sdk/client-dynamodb': ({ needs, kind }) => needs.includes('table') && kind !== 'endpoint',
  '@aws-sdk/client-kms': ({ needs }) => needs.includes('secrets'),
  '@aws-sdk/client-sesv2': ({ needs }) => needs.includes('mail'),
  otpauth: ({ needs }) => needs.includes('totp'),
  stripe: ({ needs }) => needs.includes('payments'),
}
