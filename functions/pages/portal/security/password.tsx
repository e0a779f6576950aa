import { Form } from '../../kit/form.tsx'
import { codeField } from '../code-field.ts'
import { useConfig } from '../context.tsx'
import { t } from '../messages.ts'
import { newPasswordField } from '../password-field.ts'
import { client, session } from '../session.ts'

/** Changing it ends every session, this one too. */
export function Password({ twofa }: { twofa: boolean }) {
  const config = useConfig()
  return (
    <section class="card">
      <h2>{t.security.password}</h2>
      <p>{t.security.passwordText}</p>
      <Form
        submit={t.security.changePassword}
        onSubmit={async ({ oldPassword = '', password = '', twofa }) => {
          await client.password.change({ password, oldPassword, ...(twofa && { twofa }) })
          session.value = 'out'
        }}
        fields={[
          {
            name: 'oldPassword',
            label: t.security.oldPassword,
            type: 'password',
            autocomplete: 'current-password',
            required: true,
          },
          newPasswordField(config),
          ...(twofa ? [codeField] : []),
        ]}
      />
    </section>
  )
}
