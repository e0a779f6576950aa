import type { FieldSpec } from '../kit/form.tsx'
import { t } from './messages.ts'

/** The field of a code of the authenticator app, or of a recovery code. */
export const codeField: FieldSpec = {
  name: 'twofa',
  label: t.signIn.code,
  hint: t.signIn.codeHint,
  autocomplete: 'one-time-code',
  required: true,
}
