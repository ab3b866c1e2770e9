// On Covalent's page of a dispatch with Braket electrons: a link to its live page, or to the
// electron that is chosen. It stands beside Covalent's own elements and changes none of them.
'use strict'
{
  const link = document.createElement('a')
  link.id = 'braket-live'
  link.style.cssText = 'position:fixed;bottom:18px;left:calc(50% + 50px);transform:translateX(-50%);z-index:1100;' +
    'padding:7px 18px;border-radius:99px;background:#5552ff;color:#fff;font:500 13px/1.4 system-ui,sans-serif;' +
    'text-decoration:none;box-shadow:0 4px 18px rgba(0,0,0,.5);white-space:nowrap'
  let asked = '', ours = false

  async function look() {
    const dispatch = (/^\/([0-9a-f-]{36})$/i.exec(location.pathname) || [])[1] || ''
    if (dispatch !== asked) {
      asked = dispatch
      ours = false
      if (dispatch) {
        try {
          const answer = await fetch(`/braket/api/dispatches/${dispatch}`)
          const told = answer.status === 404 ? { electrons: [] } : await answer.json()
          ours = asked === dispatch && told.electrons.some(each => each.executor === 'braket' || each.sub_dispatch_id)
        } catch { asked = '' }  // the server may be busy: ask again
      }
    }
    if (!ours) { link.remove(); return }
    const panel = document.querySelector('[data-testid=nodeDrawer]')
    const node = panel && /live: \S+#node-(\d+)/.exec(panel.textContent)
    const href = `/braket/${asked}${node ? `#node-${node[1]}` : ''}`
    if (link.getAttribute('href') !== href) {
      link.setAttribute('href', href)
      link.textContent = node ? `Log, phases and cost of electron ${node[1]} →` : 'Logs, phases and costs, live →'
    }
    if (!link.isConnected) document.body.append(link)
  }
  setInterval(look, 700)
}
