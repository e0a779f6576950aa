import { asciiDomain } from '../account/email-domain.ts'

/**
 * The address in ASCII, as the payment provider wants it: an international domain in its `xn--` form.
 * @returns undefined if there is no such form, because the part before the @ has other characters.
 */
export function asciiEmail(email: string): string | undefined {
  if (isAscii(email)) return email
  const at = email.lastIndexOf('@') + 1
  const [local, domain] = [email.slice(0, at), asciiDomain(email.slice(at))]
  return domain !== undefined && isAscii(local) ? local + domain : undefined
}

const isAscii = (text: string): boolean => /^[\x21-\x7e]+$/.test(text)
