import { DomainError } from '../../core/errors.ts'

/**
 * A form as one flat object. The `?&` before Skylink's forms is skipped by URLSearchParams itself. Bundles of
 * functions whose row takes no form are built without it.
 * @throws DomainError `malformed_body`
 */
export function parseForm(text: string): Record<string, string> {
  try {
    // URLSearchParams puts U+FFFD in place of what is no UTF-8, so that a password would be set that nobody typed.
    decodeURIComponent(text)
  } catch {
    throw new DomainError('malformed_body', { detail: 'The form is not valid percent-encoded UTF-8.' })
  }
  const pairs = [...new URLSearchParams(text)]
  const names = new Set(pairs.map(([name]) => name))
  if (names.size !== pairs.length) {
    throw new DomainError('malformed_body', { detail: 'The form has a field twice.' })
  }
  return Object.fromEntries(pairs)
}
