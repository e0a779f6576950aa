import { useState } from 'preact/hooks'
import { useLocation } from 'preact-iso'
import { Form } from '../../kit/form.tsx'
import { hasCode } from '../../kit/problem.ts'
import { codeField } from '../code-field.ts'
import { useConfig } from '../context.tsx'
import { Door } from '../door.tsx'
import { t } from '../messages.ts'
import { newPasswordField } from '../password-field.ts'
import { href } from '../paths.ts'
import { client } from '../session.ts'

export default function Reset() {
  const { query } = useLocation()
  const [asked, setAsked] = useState<string | undefined>()
  if (query.code === undefined && asked === undefined)
    return (
      <Door title={t.reset.title} lead={t.reset.lead}>
        <Form
          submit={t.reset.ask}
          onSubmit={async ({ email = '' }) => {
            await client.password.requestReset({ email })
            setAsked(email)
          }}
          fields={[
            { name: 'email', label: t.register.email, type: 'email', autocomplete: 'email', required: true },
          ]}
        />
        <p>
          <a href={href('signIn')}>{t.back}</a>
        </p>
      </Door>
    )
  return (
    <Door title={t.reset.title} lead={asked && t.reset.sent(asked)}>
      <NewPassword />
    </Door>
  )
}

/** Takes a mailed code and a new password; the second factor is asked for once the account turns out to have one. */
export function NewPassword({ code }: { code?: string }) {
  const config = useConfig()
  const { route } = useLocation()
  const [needsCode, setNeedsCode] = useState(false)
  return (
    <Form
      submit={t.reset.submit}
      onSubmit={async (values) => {
        const { password = '', twofa } = values
        const mailed = (code ?? values.code ?? '').trim()
        try {
          await client.password.reset({ code: mailed, password, ...(twofa && { twofa }) })
        } catch (error) {
          if (hasCode(error, 'two_factor_required')) setNeedsCode(true)
          throw error
        }
        route(href('signIn'))
      }}
      fields={[
        ...(code === undefined
          ? [{ name: 'code', label: t.confirm.code, autocomplete: 'one-time-code', required: true }]
          : []),
        newPasswordField(config),
        ...(needsCode ? [codeField] : []),
      ]}
    />
  )
}
