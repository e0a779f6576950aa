import { DomainError } from '../../core/errors.ts'

/**
 * Parses a form into one flat object. A field without a value is one that a person left empty, so it is absent. URLSearchParams skips the `?&` with which Skylink's forms start.
 * Bundles of functions whose row takes no form leave this function out.
 * @throws DomainError `malformed_body`
 */
export function parseForm(text: string): Record<string, string> {
  try {
    // URLSearchParams replaces invalid UTF-8 by U+FFFD, and so could set a password that nobody typed.
    decodeURIComponent(text)
  } catch {
    throw new DomainError('malformed_body', { detail: 'The form is not valid percent-encoded UTF-8.' })
  }
  const pairs = [...new URLSearchParams(text)]
  const names = new Set(pairs.map(([name]) => name))
  if (names.size !== pairs.length) {
    throw new DomainError('malformed_body', { detail: 'The form has a field twice.' })
  }
  return Object.fromEntries(pairs.filter(([, value]) => value !== ''))
}
