// What the page does by itself; everything else is the server's.
window.study = {
  following: false,
  notes: '',
  looked: 0,
  over: false,
  // Asks how things stand: who answers, whose page it is, whether the notes changed.
  async look() {
    this.looked = Date.now();
    const reply = await fetch('now').catch(() => null);
    const lost = { told: 'The app does not answer any more. Start it again (ask ui), then load this page again.', kind: 'todo' };
    if (reply && reply.status === 401) return;
    const now = reply && reply.ok ? await reply.json() : lost;
    const told = document.querySelector('#banner [role=status]');
    if (told && told.textContent !== now.told) {
      told.textContent = now.told;
      told.className = now.kind;
    }
    const leave = document.querySelector('#banner form');
    if (leave && now.who) {
      leave.hidden = false;
      leave.querySelector('span').textContent = now.who;
    }
    if (now.notes && now.notes !== this.notes && this.onNotes()) {
      this.notes = now.notes;
      document.dispatchEvent(new Event('study-notes'));
    }
  },
  onNotes() {
    const progress = document.querySelector('#notes');
    return progress && progress.offsetParent;
  },
  // The session is over: says so, over what is there, and leads to where one logs in.
  ended() {
    if (document.querySelector('#ended')) return;
    this.over = true;
    const dialog = document.createElement('dialog');
    dialog.id = 'ended';
    dialog.setAttribute('aria-labelledby', 'ended-title');
    dialog.innerHTML = '<h2 id="ended-title">Your session has ended</h2>'
      + '<p>What you asked is kept. Copy what you are writing, then log in again.</p>'
      + '<p><a class="button main" href="login">Log in again</a> <button class="button">Not yet</button></p>';
    document.body.append(dialog);
    dialog.querySelector('button').onclick = () => dialog.remove();
    dialog.showModal();
  },
  // Copies the text that a button carries, and says so on it.
  copy(button) {
    const label = button.textContent;
    const done = said => {
      button.textContent = said;
      setTimeout(() => { button.textContent = label; }, 1500);
    };
    navigator.clipboard.writeText(button.dataset.text).then(() => done('Copied'), () => done('Copying is not allowed here'));
  },
  // Remembers what opens a source, and marks it.
  pressed(button) {
    if (!['source', 'passage', 'note', 'miss'].includes(button.dataset.do)) return;
    this.opener = button;
    document.querySelectorAll('.chip.open').forEach(other => other.classList.remove('open'));
    if (button.classList.contains('chip')) button.classList.add('open');
  },
  // Brings an answer that begins into view; who scrolls away meanwhile is left alone.
  follow(live) {
    const begun = live.textContent.trim() !== '';
    if (begun && !this.following) live.scrollIntoView({ block: 'center' });
    this.following = begun;
  },
  // The history says what it is, and makes room for the conversation that was chosen in it, since it lies over it.
  history(past) {
    const side = past.closest('.sidebar'), toggle = side.querySelector('.toggle-button');
    toggle.title = toggle.ariaLabel = 'History';
    const close = then => {
      if (!side.classList.contains('open')) return;
      toggle.click();
      then.focus();
    };
    side.addEventListener('click', event => {
      if (event.target.closest('[data-do=open]')) close(toggle);
      if (event.target.closest('#fresh')) close(document.querySelector('#question textarea'));
    });
    document.addEventListener('keydown', event => { if (event.key === 'Escape') close(toggle); });
  },
  // What asks back about a bad answer comes into view, under the keyboard, as soon as it is there, if within a second.
  complaint(looks = 16) {
    setTimeout(() => {
      const box = document.querySelector('#wrong');
      if (!box || !box.offsetParent) return looks && this.complaint(looks - 1);
      box.scrollIntoView({ block: 'nearest' });
      box.querySelector('input').focus({ preventScroll: true });
    }, 60);
  },
  // Opens and closes folders as they were, before the tree was drawn again.
  folders: new Map(),
  unfold(tree) {
    for (const folder of tree.querySelectorAll('details[data-folder]')) {
      const path = folder.dataset.folder;
      if (this.folders.has(path)) folder.open = this.folders.get(path);
      folder.addEventListener('toggle', () => this.folders.set(path, folder.open));
    }
  },
  // Leads from a source back to what opened it.
  back() {
    const opener = this.opener && this.opener.isConnected ? this.opener : document.querySelector('.chip.open');
    if (opener) { opener.scrollIntoView({ block: 'center' }); opener.focus({ preventScroll: true }); }
  },
  // Shows the quote that was opened: within its box, and on a narrow screen the box within the page.
  reveal(panel, page = true) {
    const quote = panel.querySelector('#quote');
    const box = (quote || panel).closest('.text');
    if (box) box.scrollTop = quote.offsetTop - box.offsetTop - box.clientHeight / 3;
    if (page && panel.querySelector('.text, img.page') && matchMedia('(max-width: 860px)').matches) {
      panel.scrollIntoView({ block: 'start' });
    }
  },
  // Shows the passage beside a question.
  beside(button) {
    this.opener = button;
    const panel = button.closest('.questions').querySelector('.beside');
    panel.scrollIntoView({ block: 'start' });
    (panel.querySelector('.text') || panel).focus({ preventScroll: true });
  },
  // The question on a card was replaced: the keyboard goes where its answer belongs, else to what is to be read.
  turned(card) {
    setTimeout(() => {
      if (!card.offsetParent) return;
      const box = card.closest('.questions').querySelector('.typed textarea, .typed input');
      const read = box && box.offsetParent ? box : card.querySelector('[tabindex="-1"]');
      if (!read) return;
      read.focus({ preventScroll: true });
      const place = read.getBoundingClientRect();
      if (place.top < 0 || place.bottom > innerHeight) {
        (card.querySelector('.verdict') || card).scrollIntoView({ block: card.querySelector('.verdict') ? 'center' : 'start' });
      }
    }, 60);
  },
};

// Whatever is asked for: the page says whether anybody is there, and says so where a new log-in is wanted.
const fetched = window.fetch;
let touched = Date.now();
for (const kind of ['keydown', 'pointerdown', 'wheel']) document.addEventListener(kind, () => { touched = Date.now(); }, { passive: true });
window.fetch = async (to, how = {}) => {
  if (Date.now() - touched > 55000 && !(to instanceof Request)) {
    const headers = new Headers(how.headers);
    headers.set('x-study-idle', '1');
    how = { ...how, headers };
  }
  const reply = await fetched(to, how);
  if (reply.status === 401 && !(study.over && to === 'now')) study.ended();
  return reply;
};

// A page that is looked at asks how things stand, every second where a sync would show.
setInterval(() => {
  const wait = study.onNotes() ? 900 : study.looked && document.querySelector('#banner .todo, #banner .well') ? 15000 : 0;
  if (!document.hidden && Date.now() - study.looked > wait) study.look();
}, 500);

// The clock of an exam; when it has run down, the page asks what came of it.
setInterval(() => {
  for (const clock of document.querySelectorAll('[role=timer]')) {
    if (clock.from !== clock.dataset.left) {  // the same clock may be given another time
      clock.from = clock.dataset.left;
      clock.ends = Date.now() + 1000 * clock.from;
    }
    const left = Math.max(0, Math.round((clock.ends - Date.now()) / 1000));
    clock.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')} left`;
    if (!left && Date.now() - (clock.asked || 0) > 2000) {
      clock.asked = Date.now();
      setTimeout(() => clock.closest('.card')?.querySelector('.up')?.click(), 500);
    }
  }
}, 500);

// 1–4, Enter and space press what they are written on, where the keyboard is on the card or nowhere: in a field they write,
// and on a button or a tab Enter and space do what they always do.
document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const card = [...document.querySelectorAll('.card')].find(one => one.offsetParent);
  const key = event.key === 'Enter' || event.key === ' ' ? 'enter' : event.key;
  if (!card || !/^([1-9]|enter)$/.test(key)) return;
  const free = event.target === document.body || (key !== 'enter' && !event.target.closest('input, textarea, select'));
  if (!free && !card.contains(event.target)) return;
  if (key === 'enter' && event.target.closest('button, a, summary, [role=button]')) return;
  const button = card.querySelector(`[data-key~="${key}"]`);
  if (!button) return;
  event.preventDefault();
  button.click();
});
