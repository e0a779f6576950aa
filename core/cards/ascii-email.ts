/**
 * The address in ASCII, as the payment provider wants it: an international domain in its `xn--` form.
 * @returns undefined if there is no such form, because the part before the @ has other characters.
 */
export function asciiEmail(email: string): string | undefined {
  if (isAscii(email)) return email
  const at = email.lastIndexOf('@')
  const [local, domain] = [email.slice(0, at), email.slice(at + 1)]
  if (!isAscii(local)) return undefined
  const url = URL.parse(`http://${domain}`)
  return url && url.pathname === '/' ? `${local}@${url.hostname}` : undefined
}

const isAscii = (text: string): boolean => /^[\x21-\x7e]+$/.test(text)
