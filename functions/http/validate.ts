import { type $ZodIssue, type $ZodType, type output, safeParse } from 'zod/v4/core'
import { DomainError, type FieldError } from '../../core/errors.ts'

/**
 * The value as its schema describes it.
 * @throws DomainError `invalid_request` with the refused fields, 20 at most; no message repeats a value.
 */
export function validate<S extends $ZodType>(schema: S, value: unknown): output<S> {
  const result = safeParse(schema, value, { reportInput: true })
  if (result.success) return result.data
  throw new DomainError('invalid_request', {
    fields: result.error.issues.flatMap(fieldErrors).slice(0, ERRORS_SHOWN),
  })
}

/** What may be a mistyped name. Anything else could be a secret value in a name's place. */
const FIELD_NAME = /^[A-Za-z_]{1,24}$/

const ERRORS_SHOWN = 20

function fieldErrors(issue: $ZodIssue): FieldError[] {
  const field = issue.path.join('.') || 'body'
  if (issue.code !== 'unrecognized_keys') return [{ field, message: sentence(issue) }]
  return issue.keys.map((key) =>
    FIELD_NAME.test(key)
      ? { field: [...issue.path, key].join('.'), message: 'is not a field of this request' }
      : { field, message: 'has a field that is not one of this request' },
  )
}

const isAmount = ({ origin }: { origin: string }): boolean => origin === 'number' || origin === 'int'

function sentence(issue: $ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is required' : `must be of type ${issue.expected}`
    case 'too_small':
      return isAmount(issue)
        ? `must be at least ${issue.minimum}`
        : `must have at least ${issue.minimum}${issue.origin === 'string' ? ' characters' : ''}`
    case 'too_big':
      return isAmount(issue)
        ? `must be at most ${issue.maximum}`
        : `must have at most ${issue.maximum}${issue.origin === 'string' ? ' characters' : ''}`
    case 'invalid_value':
      return `must be one of ${issue.values.join(', ')}`
    default:
      // zod/mini has no messages of its own, so any other text comes from one of our schemas.
      return issue.message === 'Invalid input' ? 'is not valid' : issue.message
  }
}
