import type { FieldSpec } from '../kit/form.tsx'
import type { Config } from './config.ts'
import { t } from './messages.ts'

/** The field of a new password, with the deployment's rule beside it. */
export const newPasswordField = ({ password }: Config, label = t.signIn.newPassword): FieldSpec => ({
  name: 'password',
  label,
  type: 'password',
  autocomplete: 'new-password',
  required: true,
  minlength: password.minLength,
  hint: t.passwordRule(password.minLength, password.maxLength, password.symbols),
})
