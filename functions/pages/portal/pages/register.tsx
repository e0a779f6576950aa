import { useLocation } from 'preact-iso'
import { Form } from '../../kit/form.tsx'
import { useConfig } from '../context.tsx'
import { Door } from '../door.tsx'
import { t } from '../messages.ts'
import { newPasswordField } from '../password-field.ts'
import { href } from '../paths.ts'
import { client, registered } from '../session.ts'

export default function Register() {
  const { route } = useLocation()
  const config = useConfig()
  return (
    <Door title={t.register.title} lead={config.trialUnits > 0 && t.register.trial(config.trialUnits)}>
      <Form
        submit={t.register.submit}
        onSubmit={async ({ username = '', email = '', password = '' }) => {
          await client.users.create({ username, email, password })
          registered.value = { username, password }
          route(`${href('confirm')}?email=${encodeURIComponent(email)}`)
        }}
        fields={[
          {
            name: 'username',
            label: t.register.username,
            hint: t.register.usernameHint,
            autocomplete: 'username',
            required: true,
            minlength: 3,
            maxlength: 32,
          },
          { name: 'email', label: t.register.email, type: 'email', autocomplete: 'email', required: true },
          newPasswordField(config, t.signIn.password),
        ]}
      />
      <p>
        {t.register.known} <a href={href('signIn')}>{t.signIn.submit}</a>
      </p>
    </Door>
  )
}
