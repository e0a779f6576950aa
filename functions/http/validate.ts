import { type $ZodIssue, type $ZodType, type output, safeParse } from 'zod/v4/core'
import { DomainError, type FieldError } from '../../core/errors.ts'

/** Stands for the text that a schema does not have; a library in the same process may have set texts for all of zod. */
const NO_TEXT = 'Invalid input'

/**
 * Returns the value as parsed by the schema.
 * @throws DomainError `invalid_request` with the refused fields, 20 at most; no message repeats a value.
 */
export function validate<S extends $ZodType>(schema: S, value: unknown): output<S> {
  const result = safeParse(schema, value, { reportInput: true, error: () => NO_TEXT })
  if (result.success) return result.data
  throw new DomainError('invalid_request', {
    fields: result.error.issues.flatMap(fieldErrors).slice(0, ERRORS_SHOWN),
  })
}

/**
 * Errors quote an unknown name only if it looks like a field's name. Others may be misplaced values, even
 * secrets.
 */
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
      // Any other text comes from one of our schemas.
      return issue.message === NO_TEXT ? 'is not valid' : issue.message
  }
}
