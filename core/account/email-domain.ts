import { domainToASCII } from 'node:url'

/**
 * Letters, marks and digits of any script in labels, between dots of any width. Of the invisible characters only
 * joiners are taken, which some scripts need; UTS 46 refuses them where they change nothing.
 */
const TYPED = /^(?!.*(?![\u200c-\u200d])\p{DI})[\p{L}\p{M}\p{N}\u200c-\u200d.。．｡-]+$/u

/** A host name with a top-level domain: labels of 63 characters at most, 253 together (RFC 1035). */
const HOST = /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{1,59})$/

/**
 * The domain of an e-mail address in the form in which DNS has it, and browsers send it: lower case, with
 * international labels as `xn--…` (UTS 46, non-transitional: ß and ς are letters of their own).
 * @returns undefined for a domain that has no such form, so that no mail can go there
 */
export function asciiDomain(domain: string): string | undefined {
  if (!TYPED.test(domain)) return undefined
  const ascii = domainToASCII(domain)
  return HOST.test(ascii) ? ascii : undefined
}
