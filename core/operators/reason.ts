import * as z from 'zod/mini'
import { isVisibleText } from '../account/visible-text.ts'

/** Why an operator changes something, in their words: 3 to 500 characters of visible text. */
export const reasonText = z
  .string()
  .check(
    z.trim(),
    z.minLength(3),
    z.maxLength(500),
    z.refine(isVisibleText, 'must be visible text without control characters'),
  )
