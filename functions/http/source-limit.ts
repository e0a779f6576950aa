import { countInHour, type Limited } from '../../core/credentials/hourly-limit.ts'
import { DomainError } from '../../core/errors.ts'
import type { Deps } from '../../core/ports.ts'

/**
 * The guard of rows with `sourceLimit`: counts a request of a public row by the network address that it comes from.
 * The address is not stored and not logged. Bundles of other rows leave this function out.
 * @throws DomainError `too_many_requests` with the seconds until the next request counts
 */
export async function limitSource(deps: unknown, what: Limited, address: string): Promise<void> {
  const waitSeconds = await countInHour(deps as Deps<'table' | 'keyring'>, what, networkOf(address))
  if (waitSeconds > 0) throw new DomainError('too_many_requests', { retryAfterSeconds: waitSeconds })
}

/** The address itself, or the /64 network of an IPv6 address, because one customer of a provider has all of it. */
export function networkOf(address: string): string {
  const v4 = /^(?:::ffff:)?(\d+(?:\.\d+){3})$/i.exec(address)?.[1]
  if (v4 !== undefined) return v4
  const [head = '', tail] = address.toLowerCase().split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':'))
  const [left, right] = [groups(head), groups(tail ?? '')]
  const zeros = tail === undefined ? [] : Array(Math.max(0, 8 - left.length - right.length)).fill('0')
  const all: string[] = [...left, ...zeros, ...right]
  return `${all
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`
}
