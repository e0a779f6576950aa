import { useLocation, useRoute } from 'preact-iso'
import { Form } from '../../kit/form.tsx'
import { Door } from '../door.tsx'
import { t } from '../messages.ts'
import { href } from '../paths.ts'
import { client } from '../session.ts'

/** Both links of a renewal's mail. A button does it, because mail programs open links by themselves. */
export default function RenewalLink() {
  const { params } = useRoute()
  const stops = useLocation().path.startsWith('/renewal/stop/')
  const text = stops ? t.renewalLink.stop : t.renewalLink.allow
  return (
    <Door title={text.title} lead={text.lead}>
      <Form
        fields={[]}
        submit={text.submit}
        done={text.done}
        onSubmit={async () => client.renewal.useLink({ code: params.code ?? '' })}
      />
      <p>
        <a href={href('renewal')}>{t.nav.renewal}</a>
      </p>
    </Door>
  )
}
