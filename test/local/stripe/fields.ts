import type Stripe from 'stripe'
import { invalid } from './errors.ts'

/** Changes the object in place and returns the previous values of the changed members. */
export function change<T extends object>(object: T, changes: Partial<T>): Partial<T> {
  const before: Partial<T> = {}
  for (const name of Object.keys(changes) as (keyof T)[]) {
    if (JSON.stringify(object[name]) !== JSON.stringify(changes[name])) before[name] = object[name]!
  }
  Object.assign(object, changes)
  return before
}

/** Merges metadata by key, as Stripe does. An empty value removes a key; an empty string removes all keys. */
export function mergedMetadata(
  before: Stripe.Metadata,
  changes: Stripe.Emptyable<Stripe.MetadataParam> | undefined,
): Stripe.Metadata {
  if (changes === undefined) return before
  if (changes === '' || changes === null) return {}
  const merged = Object.entries({ ...before, ...changes }).filter(([, value]) => value !== '')
  if (merged.length > 50) throw invalid('Metadata can have up to 50 keys.', { param: 'metadata' })
  for (const [key, value] of merged) {
    if (key.length > 40 || String(value).length > 500) {
      throw invalid('Metadata keys can have up to 40 characters, values up to 500.', {
        param: `metadata[${key}]`,
      })
    }
  }
  return Object.fromEntries(merged.map(([key, value]) => [key, String(value)]))
}

/** @throws StripeProblem if the country is not two letters. */
export function mergedAddress(
  before: Stripe.Address | null | undefined,
  changes: Stripe.AddressParam,
): Stripe.Address {
  if (changes.country && !/^[A-Za-z]{2}$/.test(changes.country)) {
    throw invalid(
      `Country '${changes.country}' is unknown. Try using a 2-character alphanumeric country code.`,
      {
        code: 'country_code_invalid',
        param: 'address[country]',
      },
    )
  }
  const blank = { city: null, country: null, line1: null, line2: null, postal_code: null, state: null }
  return { ...blank, ...before, ...changes }
}
