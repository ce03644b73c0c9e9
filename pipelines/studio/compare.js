// Two images on top of each other, parted by a line that is moved. All that are on the page show the same place.
import { reactive } from "vue";

const view = reactive({ zoom: 1, x: 0, y: 0 });
const MOST = 32;

export default {
  template: `
    <div class="rwsr-compare" ref="frame" tabindex="0" :aria-label="beforeLabel + ' and ' + afterLabel"
         @wheel.prevent="turn" @pointerdown="grab" @pointermove="drag" @pointerup="drop" @pointercancel="drop"
         @dblclick="reset" @keydown="key">
      <div class="rwsr-picture"><img v-if="before" :src="before" :class="{hard: view.zoom > 3}" :style="moved"
           draggable="false" :alt="beforeLabel"></div>
      <div class="rwsr-picture" :style="{clipPath: 'inset(0 0 0 ' + split + '%)'}"><img v-if="after" :src="after"
           :class="{hard: view.zoom > 3}" :style="moved" draggable="false" :alt="afterLabel" @load="$emit('shown')"></div>
      <div class="rwsr-line" :style="{left: split + '%'}"></div>
      <span class="rwsr-label left" v-show="split > 8">{{ beforeLabel }}</span>
      <span class="rwsr-label right" v-show="split < 92">{{ afterLabel }}</span>
      <input class="rwsr-split" type="range" min="0" max="100" step="0.5" v-model.number="split"
             :aria-label="'how much of ' + beforeLabel" @pointerdown.stop @keydown.stop @dblclick.stop>
    </div>`,
  props: { before: String, after: String, beforeLabel: String, afterLabel: String },
  emits: ["shown"],
  data() {
    return { view, split: 50, from: null };
  },
  computed: {
    moved() {
      return { transform: `translate(${view.x}%, ${view.y}%) scale(${view.zoom})` };
    },
  },
  methods: {
    // The place under the pointer stays; no more than the image is looked at.
    to(zoom, px, py) {
      const next = Math.min(MOST, Math.max(1, zoom));
      const at = (low, p) => p - ((p - low) * next) / view.zoom;
      view.x = this.within(at(view.x, px), next);
      view.y = this.within(at(view.y, py), next);
      view.zoom = next;
    },
    within(low, zoom) {
      return Math.min(0, Math.max(100 - 100 * zoom, low));
    },
    place(event) {
      const box = this.$refs.frame.getBoundingClientRect();
      return [(100 * (event.clientX - box.left)) / box.width, (100 * (event.clientY - box.top)) / box.height];
    },
    turn(event) {
      this.to(view.zoom * Math.exp(-event.deltaY / 400), ...this.place(event));
    },
    grab(event) {
      this.from = [...this.place(event), view.x, view.y];
      this.$refs.frame.setPointerCapture(event.pointerId);
    },
    drag(event) {
      if (!this.from) return;
      const [x, y] = this.place(event);
      view.x = this.within(this.from[2] + x - this.from[0], view.zoom);
      view.y = this.within(this.from[3] + y - this.from[1], view.zoom);
    },
    drop() {
      this.from = null;
    },
    reset() {
      Object.assign(view, { zoom: 1, x: 0, y: 0 });
    },
    key(event) {
      const step = 10;
      const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
      if (event.key === "+" || event.key === "=") this.to(view.zoom * 1.5, 50, 50);
      else if (event.key === "-") this.to(view.zoom / 1.5, 50, 50);
      else if (event.key === "0") this.reset();
      else if (moves[event.key]) {
        view.x = this.within(view.x + moves[event.key][0], view.zoom);
        view.y = this.within(view.y + moves[event.key][1], view.zoom);
      } else return;
      event.preventDefault();
    },
  },
};
