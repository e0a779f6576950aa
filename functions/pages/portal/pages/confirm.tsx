import { useLocation } from 'preact-iso'
import { ActionButton, Form } from '../../kit/form.tsx'
import { Door } from '../door.tsx'
import { t } from '../messages.ts'
import { href } from '../paths.ts'
import { client, registered, session } from '../session.ts'

export default function Confirm() {
  const { query, route } = useLocation()
  const { email } = query
  async function enter() {
    const person = registered.value
    if (!person) return route(href('signIn'))
    await client.sessions.login({ ...person, session: 'cookie' })
    registered.value = undefined
    route(href('overview'))
  }
  return (
    <Door title={t.confirm.title} lead={email ? t.confirm.lead(email) : t.confirm.leadWithout}>
      <Form
        submit={t.confirm.submit}
        onSubmit={async ({ code = '' }) => {
          await client.account.activate({ code: code.trim() })
          // A confirmation ends every session.
          session.value = 'out'
          await enter()
        }}
        fields={[
          {
            name: 'code',
            label: t.confirm.code,
            autocomplete: 'one-time-code',
            required: true,
            hint: t.confirm.codeHint,
          },
        ]}
        aside={
          email && (
            <ActionButton run={() => client.account.resendCode({ email })}>{t.confirm.resend}</ActionButton>
          )
        }
      />
      <p>
        {t.confirm.wrong} <a href={href('register')}>{t.confirm.again}</a>
      </p>
    </Door>
  )
}
