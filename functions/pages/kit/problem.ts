import { BursarError } from 'bursar/client'
import { words } from './words.ts'

/** An error whose message is for the person at the page, in their language. */
export class ToldError extends Error {}

/** What happened, for the person at the page. */
export function problemText(error: unknown): string {
  if (error instanceof ToldError) return error.message
  // The browser does not say whether a person has closed its question or has waited for too long.
  if (error instanceof DOMException && error.name === 'NotAllowedError') return words.stopped
  if (!(error instanceof BursarError)) return words.unexpected
  if (error.code === 'connection_lost') return words.offline
  if (error.code === 'timed_out') return words.timedOut
  if (error.code === 'unexpected_answer') return words.unexpected
  return words.problems[error.code] ?? error.message
}

/** When to try again, or how support finds the request; undefined if neither is known. */
export function retryText(error: unknown): string | undefined {
  if (!(error instanceof BursarError)) return undefined
  const { retryAfter, status, requestId } = error
  if (retryAfter !== undefined && retryAfter >= 90) return words.waitMinutes(Math.ceil(retryAfter / 60))
  if (retryAfter !== undefined) return words.waitSeconds(retryAfter)
  return status >= 500 && requestId ? words.requestId(requestId) : undefined
}

/** The refused fields of a request, by their name; a field of a list or an object counts as the whole. */
export function refusedFields(error: unknown): Record<string, string> {
  if (!(error instanceof BursarError) || !error.errors) return {}
  return Object.fromEntries(error.errors.map(({ field, message }) => [field.split('.')[0] ?? field, message]))
}

export const hasCode = (error: unknown, ...codes: string[]): error is BursarError =>
  error instanceof BursarError && codes.includes(error.code)
