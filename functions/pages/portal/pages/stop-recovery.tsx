import { useRoute } from 'preact-iso'
import { Form } from '../../kit/form.tsx'
import { Door } from '../door.tsx'
import { t } from '../messages.ts'
import { href } from '../paths.ts'
import { client } from '../session.ts'

export default function StopRecovery() {
  const { params } = useRoute()
  return (
    <Door title={t.recovery.stopTitle} lead={t.recovery.stopLead}>
      <Form
        fields={[]}
        submit={t.recovery.stop}
        done={t.recovery.stopped}
        onSubmit={async () => client.recovery.stopByLink({ code: params.code ?? '' })}
      />
      <p>
        <a href={href('signIn')}>{t.signIn.submit}</a>
      </p>
    </Door>
  )
}
